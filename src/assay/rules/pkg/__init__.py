"""Packaging metadata."""
