"""The JSON of an earlier run's result, read from its file."""

from __future__ import annotations

from pathlib import Path

from toolkit.cli.render.result import Result
from toolkit.cli.render.serialise import read_result
from toolkit.cli.sealed_archive import MOST_BYTES
from toolkit.errors import Refused
from toolkit.oci.local_files import read_regular


def read_saved_result(path: Path) -> Result:
    """The result in `path`. Raises Refused if there is none."""
    try:
        content = read_regular(path, MOST_BYTES)
    except (OSError, ValueError) as error:
        raise _unreadable(str(path), error) from error
    return parse_saved_result(str(path), content)


def parse_saved_result(path: str, content: bytes) -> Result:
    """The result with this `content`, which is at `path`. Raises Refused if it is none."""
    try:
        result = read_result(content)
    except ValueError as error:
        raise _unreadable(path, error) from error
    if not result.values and not result.error:
        raise Refused("result.without_view", f"`{path}` is of `toolkit {result.command}`, whose result is not shown")
    return result


def _unreadable(path: str, error: OSError | ValueError) -> Refused:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Refused(
        "result.unreadable",
        f"`{path}` is not the result of a command: {why}",
        hint="save one with `--output json=FILE`",
    )
