"""Evaluation: figures and comparison."""
