"""Facts about libraries: tables, and the functions that read them."""
