"""Syntax, names and imports."""
