"""Launching child processes."""
