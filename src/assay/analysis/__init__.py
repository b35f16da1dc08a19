"""Understanding a submission without running it."""
