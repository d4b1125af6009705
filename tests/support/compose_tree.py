"""Files around a compose or a bake file, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.codebuild.compose_model import CannotRead


@dataclass(frozen=True)
class Tree:
    """Files by their paths."""

    files: Mapping[str, str]

    def has(self, path: str) -> bool:
        return path in self.files

    def read(self, path: str) -> str:
        if path not in self.files:
            raise CannotRead(f"there is no `{path}`")
        return self.files[path]
