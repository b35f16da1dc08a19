"""The contract's command lines."""
