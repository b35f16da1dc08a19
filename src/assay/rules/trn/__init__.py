"""Training loops: what reaches the optimizer, and in which order."""
