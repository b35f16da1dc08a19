"""Integrity: invented or replaced results, and leakage."""
