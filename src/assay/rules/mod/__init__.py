"""Trial and full mode."""
