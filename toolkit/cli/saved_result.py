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
        result = read_result(read_regular(path, MOST_BYTES))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Refused(
            "result.unreadable",
            f"`{path}` is not the result of a command: {why}",
            hint="save one with `--output json=FILE`",
        ) from error
    if not result.values and not result.error:
        raise Refused("result.without_view", f"`{path}` is of `toolkit {result.command}`, whose result is not shown")
    return result
