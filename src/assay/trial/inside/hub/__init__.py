"""A small server that speaks the protocol of the Hugging Face Hub on loopback, and makes what it serves."""
