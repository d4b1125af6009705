"""Stands for a service."""

import sys

sys.stdout.write("api\n")
