"""A laptop with a sandbox: every end-to-end test gets folders, a running sandbox and the program."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.real_parts import require
from tests.support.toolkit_run import Toolkit


@dataclass(frozen=True)
class Laptop:
    """A folder with a manifest, and the program in the sandbox's environment."""

    folder: Path
    toolkit: Toolkit
    status: dict[str, Any]

    def write(self, manifest: str) -> None:
        (self.folder / "images.yaml").write_text(manifest)

    def sandbox(self, verb: str, *arguments: str) -> dict[str, Any]:
        """`toolkit sandbox VERB` as data."""
        done = self.toolkit.run("sandbox", verb, "--folder", "sandbox", *arguments, "--format", "json")
        return dict(done.expect(0).document["sandbox"])

    @property
    def ecr_host(self) -> str:
        return str(self.status["ecr_endpoint"]).removeprefix("http://")


def read_exports(text: str) -> dict[str, str | None]:
    """What `eval "$(toolkit sandbox env)"` would do to the environment."""
    values: dict[str, str | None] = {}
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "export":
            name, _, value = shlex.split(rest)[0].partition("=")
            values[name] = value
        else:
            assert word == "unset", line
            values[rest] = None
    return values


@pytest.fixture(scope="module")
def open_laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Laptop]]:
    """Make laptops; their sandboxes are stopped at the end of the module."""
    require("terraform")
    opened: list[tuple[Toolkit, Path]] = []

    def open_one(manifest: str) -> Laptop:
        folder = tmp_path_factory.mktemp("laptop")
        (folder / "images.yaml").write_text(manifest)
        plain = Toolkit(folder)
        opened.append((plain, folder))
        status = plain.run("sandbox", "up", "-f", "images.yaml", "--folder", "sandbox", "--format", "json").expect(0)
        exports = read_exports(plain.run("sandbox", "env", "--folder", "sandbox").expect(0).stdout)
        return Laptop(folder, Toolkit(folder, exports), status.document["sandbox"])

    yield open_one
    for toolkit, _ in opened:
        toolkit.run("sandbox", "down", "--folder", "sandbox").expect(0)
