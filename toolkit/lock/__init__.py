"""The lock: which digest of each tag was admitted, and what else was seen. Pure."""
