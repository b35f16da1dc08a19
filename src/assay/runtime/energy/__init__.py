"""Energy that a stretch of work used: measured where the hardware tells, modelled and called so where it does not."""

from assay.runtime.energy.meter import EnergyMeter
from assay.runtime.energy.part import Part

__all__ = ["EnergyMeter", "Part"]
