"""A limit of address space (`ulimit -v`) that native code would meet: it ends the process, and nobody says why."""

from __future__ import annotations

import mmap


def check_address_space(size: int) -> None:
    """Raise OSError where so many bytes cannot be had. None is used."""
    mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ).close()
