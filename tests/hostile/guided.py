"""One reader, fed by atheris with texts that reach further than those before. What breaks it is kept in `corpus/`.

    pip install atheris
    python -m tests.hostile.guided READER SECONDS

It has wheels for Linux on x86_64 and builds elsewhere with clang only, so it is no dependency of the project.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-not-found]

with atheris.instrument_imports(include=["toolkit"]):
    from tests.hostile.fuzz import fault_of, keep
    from tests.hostile.mutations import MOST_TEXT, corpus
    from tests.hostile.readers import READERS


def main(name: str, seconds: str) -> None:
    """Atheris ends the process."""
    reader = READERS[name]

    def check(content: bytes) -> None:
        text = content.decode(errors="replace")
        if fault := fault_of(reader, text):
            keep(name, text, fault)

    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate([*reader.seeds, *corpus(name)]):
            (Path(folder) / f"seed-{number}").write_bytes(seed.encode(errors="replace"))
        atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", f"-max_len={MOST_TEXT}", folder], check)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
