"""An entry for `images` of a manifest, as a message proposes it and `scan --write` adds it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

_PLAIN = re.compile(r"[a-z][A-Za-z0-9._/-]*(:[A-Za-z0-9_][A-Za-z0-9._-]*)*(@sha256:[0-9a-f]{64})?")


@dataclass(frozen=True, slots=True)
class NewImage:
    """An entry to be added; `platforms` is `all`, a list, or None for the manifest's own."""

    source: str
    platforms: tuple[str, ...] | str | None = None

    @property
    def text(self) -> str:
        """The entry as YAML, in one line."""
        if self.platforms is None:
            return _scalar(self.source)
        several = not isinstance(self.platforms, str)
        shown = f"[{', '.join(map(_scalar, self.platforms))}]" if several else self.platforms
        return f"{{source: {json.dumps(self.source)}, platforms: {shown}}}"


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
