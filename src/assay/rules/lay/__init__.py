"""File layout: which files a submission holds."""
