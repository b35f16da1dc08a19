"""Completeness: nothing is left out, empty or a stub."""
