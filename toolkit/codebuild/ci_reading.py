"""The images that the workflows of GitHub Actions and GitLab CI have their runners pull.

A runner pulls the images of jobs and services itself, before any command of the job and from where their names lead.
Nothing in a job can change that, so only a name in ECR keeps such an image home. What the commands of a job do is not
read: they run on the machines of that CI system.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from toolkit.codebuild.build_fields import listed, spelled
from toolkit.codebuild.coverage import Kind
from toolkit.codebuild.findings import NamedImage, Reading, Trouble
from toolkit.codebuild.variables import CannotExpand, Values, interpolate
from toolkit.manifest.document import Document, NotYaml, Path, read_document

_IS_GITLAB = re.compile(r"(.*[._-])?gitlab-ci([._-].*)?\.ya?ml", re.IGNORECASE)
_EXPRESSION = re.compile(r"\$\{\{([^{}]*)\}\}")
_OF_MATRIX = re.compile(r"matrix\.([\w-]+)")
_NO_JOBS = frozenset({"variables", "stages", "workflow", "include", "spec", "cache"})
_MOST_MEMBERS = 200


def is_ci(path: PurePath) -> bool:
    """Whether the name is that of a workflow of GitHub Actions or of GitLab CI's file."""
    is_workflow = path.parts[-3:-1] == (".github", "workflows") and path.suffix.lower() in (".yml", ".yaml")
    return is_workflow or _IS_GITLAB.fullmatch(path.name) is not None


def read_ci(text: str, *, is_gitlab: bool) -> Reading:
    """The images of jobs, of their services and of steps that are images."""
    try:
        document = read_document(text)
    except NotYaml as error:
        return Reading(troubles=(Trouble(error.line, error.message),))
    root = document.data if document else None
    if document is None or not isinstance(root, dict):
        return Reading()
    images = _of_gitlab(document, root) if is_gitlab else _of_github(document, root)
    return Reading(tuple(dict.fromkeys(images)))


def _of_github(document: Document, root: Mapping[str, Any]) -> Iterator[NamedImage]:
    for key, value in _mapping(root.get("jobs")).items():
        job = _mapping(value)
        path: Path = ("jobs", key)
        places = [_image_place((*path, "container"), job.get("container"), "image")]
        for own, service in _mapping(job.get("services")).items():
            places.append(_image_place((*path, "services", own), service, "image"))
        for number, step in enumerate(listed(job.get("steps"))):
            uses = _mapping(step).get("uses")
            if isinstance(uses, str) and uses.startswith("docker://"):
                places.append(((*path, "steps", number, "uses"), uses.removeprefix("docker://")))
        matrix = _mapping(_mapping(job.get("strategy")).get("matrix"))
        for place, written in places:
            if written:
                line = document.place(place).line
                members = _members(written, matrix)
                yield from (_named(line, written, name, unset) for name, unset in members if name or unset)


def _members(written: str, matrix: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The names that a text has for the members of a matrix, with the expressions that are not known."""
    asked = dict.fromkeys(found[1].strip() for found in _EXPRESSION.finditer(written))
    axes: list[list[tuple[str, str | None]]] = []
    for expression in asked:
        member = _OF_MATRIX.fullmatch(expression)
        values = _values_of(member[1], matrix) if member else []
        axes.append([(expression, spelled(value)) for value in values] or [(expression, None)])
    if math.prod(map(len, axes)) > _MOST_MEMBERS:
        axes = [[(expression, None)] for expression in asked]
    for pairs in itertools.product(*axes):
        known = dict(pairs)
        name = _EXPRESSION.sub(lambda found, known=known: known[found[1].strip()] or "", written)  # type: ignore[misc]
        yield name, tuple(expression for expression, value in pairs if value is None)


def _values_of(name: str, matrix: Mapping[str, Any]) -> list[Any]:
    included = [_mapping(one).get(name) for one in listed(matrix.get("include"))]
    values = [*listed(matrix.get(name)), *(value for value in included if value is not None)]
    return [] if any(isinstance(value, dict) or "${{" in spelled(value) for value in values) else values


def _of_gitlab(document: Document, root: Mapping[str, Any]) -> Iterator[NamedImage]:
    shared = _variables(root)
    for path, job in [((), root), *(((name,), _mapping(job)) for name, job in root.items() if name not in _NO_JOBS)]:
        values = {**shared, **_variables(job)}
        places = [_image_place((*path, "image"), job.get("image"), "name")]
        for number, service in enumerate(listed(job.get("services"))):
            places.append(_image_place((*path, "services", number), service, "name"))
        for place, written in places:
            if written:
                try:
                    word = interpolate(written, values)
                except CannotExpand:
                    continue
                yield _named(document.place(place).line, written, word.text, word.unset)


def _variables(job: Mapping[str, Any]) -> Values:
    pairs = _mapping(job.get("variables")).items()
    return {name: spelled(value.get("value") if isinstance(value, dict) else value) for name, value in pairs}


def _image_place(path: Path, value: Any, key: str) -> tuple[Path, str]:
    """The place and the text of an image, which is a text or a mapping with `key`."""
    if isinstance(value, dict):
        return (*path, key), spelled(value[key]) if isinstance(value.get(key), str) else ""
    return path, value if isinstance(value, str) else ""


def _named(line: int, written: str, name: str, unset: tuple[str, ...]) -> NamedImage:
    return NamedImage(line, Kind.RUN, written, name, unset=unset, is_of_ci=True)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
