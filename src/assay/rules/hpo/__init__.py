"""Hyper-parameter search: spaces, objectives, and what becomes of the best values."""
