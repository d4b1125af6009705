"""The command line: parses, wires, prints, and turns every ending into an exit code."""
