"""The use cases, one file each: options and services in, plan or report out. No terminal, no exit codes."""
