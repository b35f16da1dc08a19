"""The process that starts a boxed program, watches it from outside, and outlives whoever asked for it, to clean up.

It runs by `python -I -S` with the folder above it on the path, so it imports nothing of assay but its own modules.
"""
