"""Tracking: what is logged, and where."""
