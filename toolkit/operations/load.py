"""Load: a manifest with every default filled in, and its extra files. Needs no AWS, Terraform or registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from toolkit.errors import ManifestUnusable
from toolkit.manifest.loader import MAX_BYTES, loads, read
from toolkit.plan.desired import Desired
from toolkit.plan.resolve import resolve
from toolkit.plan.risks import find_risks


def load_desired(file: Path) -> Desired:
    """What the manifest asks for. Raises ManifestUnusable with all of its problems."""
    return desired_of(read(file), file)


def desired_of(text: str, file: Path, extra_files: Mapping[str, bytes] | None = None) -> Desired:
    """What the manifest `text`, which belongs to `file`, asks for. Raises ManifestUnusable.

    Its `terraform.extra_files` are read relative to `file`, unless `extra_files` has their contents by name.
    """
    manifest = loads(text, str(file))
    paths = manifest.terraform.extra_files
    if extra_files is None:
        texts = _read_extra_files(file.parent, paths)
    else:
        texts = {name: extra_files.get(name, b"").decode() for name in (Path(path).name for path in paths)}
    risks = find_risks(manifest, datetime.now(UTC).date())
    return replace(resolve(manifest), extra_files=texts, risks=risks, text=text)


def _read_extra_files(folder: Path, paths: Sequence[str]) -> dict[str, str]:
    """Texts by file name. A link is not followed: it could lead out of the folder that was reviewed."""
    texts = {}
    for path in paths:
        file = folder / path
        try:
            if any(part.is_symlink() for part in (file, *file.parents[: path.count("/")])):
                raise ValueError("it is a link, or below one")
            if not file.is_file():
                raise ValueError("there is no such file")
            if file.stat().st_size > MAX_BYTES:
                raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
            texts[file.name] = file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            why = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else why
            raise ManifestUnusable(
                "manifest.extra_file",
                f"`{file}` cannot be read: {why}",
                hint="correct `terraform.extra_files`",
            ) from error
    return texts
