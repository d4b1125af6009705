"""Which files a scan reads, by their names, and which only look like such a file.

Dockerfiles and compose files are recognised as by Renovate's managers `dockerfile` and `docker-compose`, in any case;
bake files as by `docker buildx bake`, and with a word added. The scan reports files that look like one of these and
are not read.
"""

from __future__ import annotations

import re
from pathlib import Path

from toolkit.codebuild.ci_reading import is_ci
from toolkit.codebuild.testcontainers_reading import LANGUAGES, SETTINGS

_DOCUMENTS = "md|markdown|rst|adoc|html?|pdf|png|svg|jpe?g|gif"
_TEMPLATES = "j2|jinja2?|tmpl|tpl|template|in|erb|ejs|mustache|hbs|gotmpl|m4|mako"
_LEFT_OVERS = "orig|rej|bak|swp|patch|diff|gz|zip|tar"
_IS_NONE = re.compile(rf".*(\.({_DOCUMENTS}|{_TEMPLATES}|{_LEFT_OVERS})|~)", re.IGNORECASE)

_KINDS = {
    "dockerfile": re.compile(r"(.*\.)?(docker|container)file|(docker|container)file.*", re.IGNORECASE),
    "compose": re.compile(r"(docker-)?compose(?!rs?\b).*\.ya?ml", re.IGNORECASE),
    "bake": re.compile(r"docker-bake.*\.(hcl|json)|.*\.bake\.(hcl|json)", re.IGNORECASE),
    "buildspec": re.compile(r"buildspec.*\.ya?ml|.*[._-]buildspec\.ya?ml", re.IGNORECASE),
}
_SOURCES = "py|go|rs|tsx?|jsx?|java|kt|rb|cs|c|h|cpp|json|ya?ml|toml|sh|lua|vim|txt"
_LOOK_ALIKE = {
    "a Dockerfile": (
        re.compile(
            rf"^(docker|container)file|(docker|container)file$|"
            rf"[._-](docker|container)file[._-](?!(.*\.)?({_SOURCES}|{_DOCUMENTS})$)",
            re.IGNORECASE,
        ),
        re.compile(""),
    ),
    "a compose file": (
        re.compile(r"compose(?!rs?\b).*\.ya?ml", re.IGNORECASE),
        re.compile(r"^(services|include)\s*:", re.MULTILINE),
    ),
    "a bake file": (
        re.compile(r"(^|[._-])bake([._-].*)?\.(hcl|json)", re.IGNORECASE),
        re.compile(r"^target\s|\"target\"\s*:", re.MULTILINE),
    ),
    "a buildspec": (
        re.compile(r"buildspec.*\.(ya?ml|json)", re.IGNORECASE),
        re.compile(r"^(phases|batch)\s*:|\"phases\"\s*:", re.MULTILINE),
    ),
}
"""A pattern of the name and one of the text: a page about `docker compose` is not a compose file."""

_USUAL = re.compile(r"(.*\.)?(docker|container)file", re.IGNORECASE)

_FIRST_OF_DOCKERFILE = re.compile(r"(arg|from)\s.*[\\`]|arg\s+\w.*|from\s+(--\S+\s+)*\S+(\s+as\s+\S+)?", re.IGNORECASE)
_SYNTAX = re.compile(r"\s*#\s*syntax\s*=", re.IGNORECASE)


def kind_of(path: Path) -> str | None:
    """`dockerfile`, `compose`, `bake`, `buildspec` or `ci`, by the name; None for other files."""
    if is_ci(path):
        return "ci"
    if path.name.endswith(".dockerignore") or _IS_NONE.fullmatch(path.name):
        return None
    return next((kind for kind, pattern in _KINDS.items() if pattern.fullmatch(path.name)), None)


def may_be_test(path: Path) -> bool:
    """Whether a file may start containers by Testcontainers: a source, or settings with the URL of a database."""
    return path.suffix.lower() in LANGUAGES or path.suffix.lower() in SETTINGS


def look_alike(path: Path, text: str | None = None) -> str | None:
    """What a file that is not read looks like, by its name and, if it is known, its text.

    None for a file that is read, and for a file that looks like none of these.
    """
    if path.name.endswith(".dockerignore") or kind_of(path):
        return None
    fitting = (
        noun
        for noun, (name, line) in _LOOK_ALIKE.items()
        if name.search(path.name) and (text is None or line.search(text))
    )
    return next(fitting, None)


def has_usual_name(path: Path) -> bool:
    """Whether the name can only be a Dockerfile's; `Dockerfile.py` may be a Python module."""
    return _USUAL.fullmatch(path.name) is not None


def begins_as_dockerfile(text: str) -> bool:
    """Whether a Dockerfile can begin like this: with `FROM` or `ARG`, or with a `# syntax=` line."""
    lines = [line.strip() for line in text.removeprefix("\ufeff").split("\n")]
    if _SYNTAX.match(lines[0]):
        return True
    first = next((line for line in lines if line and not line.startswith("#")), "")
    return "\0" not in text and _FIRST_OF_DOCKERFILE.fullmatch(first) is not None
