"""What runs inside the submission's own processes: probes, stand-ins and shims.

A copy of this package lies in the overlay environment as `assay_trial_inside`. It imports nothing of assay, nothing but
the standard library before a library was imported by the submission itself, and never breaks what it watches: where a
probe fails, that becomes one event `inside-failed` and nothing else. It works from Python 3.9 on.
"""
