"""The contracts: what a submission must be, as data."""

from assay.contracts.contract import Contract, Requirement
from assay.contracts.loading import builtin_names, known_paths, load_contract, reply_keys

__all__ = ["Contract", "Requirement", "builtin_names", "known_paths", "load_contract", "reply_keys"]
