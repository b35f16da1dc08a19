"""How much is tried: little and always the same, or more by `ASSAY_FUZZ_EXAMPLES=5000 pytest tests/fuzz`."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

ASKED = int(os.environ.get("ASSAY_FUZZ_EXAMPLES", "0"))

settings.register_profile(
    "assay",
    max_examples=ASKED or 30,
    derandomize=not ASKED,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
settings.load_profile("assay")
