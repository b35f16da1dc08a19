"""What the probes count, for each other to read: `from . import counters`, then `counters.backward`."""

from __future__ import annotations

# backward passes of this process so far; backward.py counts
backward = 0
# optimizer steps of this process so far, all optimizers together; optimizers.py counts
steps = 0
