"""What a shell offers for values that only the manifest knows: names of images, repositories and builds.

A key press waits for it, so the manifest is read as plain YAML and not checked. It asks nobody, writes nothing, and
offers nothing where the manifest cannot be read.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import redirect_stdout
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer

from toolkit.oci.local_files import read_regular

VARIABLE = "_TOOLKIT_COMPLETE"
"""Set by the shells' scripts, which Typer writes."""

_LONGEST = 1024 * 1024


def images(context: typer.Context) -> list[str]:
    """The images of the manifest as `source` names them, one for each tag; `*` for tags that only upstream can list."""
    return [f"{name}:{tag or '*'}" for name, tag, _ in _entries(_manifest(context))]


def builds(context: typer.Context) -> list[str]:
    """The builds of the manifest."""
    return [name for one in _list(_manifest(context), "builds") if isinstance(name := _field(one, "name"), str)]


def repositories(context: typer.Context) -> list[str]:
    """The repositories of the manifest."""
    from toolkit.manifest.destinations import default_repository, prefixed
    from toolkit.oci.reference import parsed

    manifest = _manifest(context)
    prefix = _field(_field(manifest, "repositories"), "prefix")
    names = []
    for name, _, repository in _entries(manifest):
        source = parsed(name)
        own = repository or (default_repository(source) if source else None)
        names += [prefixed(prefix if isinstance(prefix, str) else "", own)] if own else []
    return list(dict.fromkeys(names))


def adoptable(context: typer.Context) -> list[str]:
    """The repositories and builds of the manifest."""
    return list(dict.fromkeys([*repositories(context), *builds(context)]))


def codes() -> list[str]:
    """What `toolkit explain` knows."""
    from toolkit.cli import explanations

    return [*explanations.codes(), *(str(one.number) for one in explanations.EXIT_CODES)]


def _manifest(context: typer.Context) -> object:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    named = context.params.get("file") or context.params.get("manifest") or Path("images.yaml")
    try:
        return YAML(typ="safe", pure=True).load(read_regular(Path(str(named)), _LONGEST).decode("utf-8"))
    except (OSError, ValueError, RecursionError, YAMLError, KeyError, TypeError, AttributeError):
        return None  # the last three: ruamel, for tags and keys that are not as it expects


def _field(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _list(value: object, name: str) -> list[Any]:
    found = _field(value, name)
    return found if isinstance(found, list) else []


def _entries(manifest: object) -> Iterator[tuple[str, str, str | None]]:
    """Name, tag and repository of each image; the tag is "" where it is not listed."""
    for one in _list(manifest, "images"):
        source = one if isinstance(one, str) else _field(one, "source")
        if not isinstance(source, str):
            continue
        name, tag = re.fullmatch(r"(.*?)(?::([^:/@]*))?(?:@.*)?", source, re.DOTALL).groups()  # type: ignore[union-attr]
        repository = _field(one, "repository")
        for each in [tag or "", *map(str, _list(one, "tags"))][bool(_list(one, "tags")) :]:
            yield name, each, repository if isinstance(repository, str) else None


def command_of(environment: dict[str, str] | os._Environ[str], commands: Collection[str]) -> str | None:
    """The command whose words are completed, if it is complete itself: only that one has to be built."""
    words = environment.get("_TYPER_COMPLETE_ARGS", environment.get("COMP_WORDS", "")).split()
    is_typed = len(words) > 2 or environment.get("_TYPER_COMPLETE_ARGS", "").endswith(" ")
    is_typed = is_typed or environment.get("COMP_CWORD", "0") not in ("0", "1")
    return words[1] if is_typed and len(words) > 1 and words[1] in commands else None


def complete_in_bash(complete: Callable[[], object]) -> None:
    """Run `complete` with the words as they were typed.

    bash splits words at `:` and `=`, so that `nginx:1` comes as three, and it takes what is offered for what follows
    the last `:`.
    """
    words, current = os.environ.get("COMP_WORDS", "").split("\n"), int(os.environ.get("COMP_CWORD") or 0)
    words = [*words, *[""] * (current + 1 - len(words))][: current + 1]
    joined = words[:1]
    for before, word in pairwise(words):
        if joined[1:] and (word in (":", "=") or before in (":", "=")):
            joined[-1] += word
        else:
            joined.append(word)
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = "\n".join(joined), str(len(joined) - 1)
    value = joined[-1].partition("=")[2] if joined[-1].startswith("--") else joined[-1]
    cut = value.rfind(":") + 1 if ":" in os.environ.get("COMP_WORDBREAKS", ":") else 0
    out = io.StringIO()
    try:
        with redirect_stdout(out):
            complete()
    finally:
        typer.echo("".join(f"{line[cut:]}\n" for line in out.getvalue().splitlines()), nl=False)
