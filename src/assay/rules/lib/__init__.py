"""Use of the library of this package."""
