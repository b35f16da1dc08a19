"""Interfaces of libraries, and of the submission itself."""
