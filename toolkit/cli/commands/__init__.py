"""One file a command: its options, one call of an operation, one call of a view."""
