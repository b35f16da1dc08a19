"""A derived submission against its base."""
