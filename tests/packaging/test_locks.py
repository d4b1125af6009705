"""What is installed here and by users is locked: `make lock` writes the files, and pip checks every byte against them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKS = ["requirements-build.txt", "requirements-dev.txt", "requirements.txt"]


def locked(name: str) -> list[tuple[Requirement, str]]:
    """Each pin of a lock with what stands behind it."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", "")
    pins = (line.partition("--hash") for line in text.splitlines())
    return [(Requirement(pin), mark + hashes) for pin, mark, hashes in pins]


def asked_for(extra: str) -> list[Requirement]:
    """What an extra brings, with the extras that it names."""
    found = []
    for text in PROJECT["optional-dependencies"][extra]:
        one = Requirement(text)
        found += [more for name in one.extras for more in asked_for(name)] if one.name == PROJECT["name"] else [one]
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_is_pinned_with_hashes_and_no_registry_is_named(name: str) -> None:
    for pin, hashes in locked(name):
        assert re.fullmatch(r"==[^*,]+", str(pin.specifier)), pin
        assert re.fullmatch(r"(--hash=sha256:[0-9a-f]{64}\s*)+", hashes), pin
    assert "://" not in (ROOT / name).read_text(encoding="utf-8")


def test_the_lock_is_renewed_when_a_dependency_changes() -> None:
    versions: dict[str, list[str]] = {}
    for pin, _ in locked("requirements-dev.txt"):
        versions.setdefault(canonicalize_name(pin.name), []).append(str(pin.specifier).removeprefix("=="))
    for asked in [*map(Requirement, PROJECT["dependencies"]), *asked_for("dev")]:
        found = versions.get(canonicalize_name(asked.name), [])
        assert found, f"run `make lock`: {asked} is not in it"
        assert all(asked.specifier.contains(version) for version in found), f"run `make lock`: {asked}, not {found}"


def test_ships_what_was_tested() -> None:
    tested = {str(pin): hashes for pin, hashes in locked("requirements-dev.txt")}
    shipped = {str(pin): hashes for pin, hashes in locked("requirements.txt")}
    assert shipped.items() <= tested.items()
    assert {canonicalize_name(Requirement(pin).name) for pin in shipped} >= {
        canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]
    }
