"""Entries are added to a manifest's text, and nothing else changes."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from toolkit.errors import Refused
from toolkit.manifest.additions import add_images
from toolkit.manifest.document import NewImage
from toolkit.manifest.loader import loads

HEAD = "version: 1\nname: shop\naws: {region: eu-west-1}\n"
NEW = [
    NewImage("node:20"),
    NewImage("alpine:3.20", ("linux/amd64", "linux/arm64")),
    NewImage("a:1@sha256:" + "b" * 64, "all"),
]
LINES = [
    "node:20",
    '{source: "alpine:3.20", platforms: [linux/amd64, linux/arm64]}',
    f'{{source: "a:1@sha256:{"b" * 64}", platforms: all}}',
]


def added(text: str) -> str:
    return add_images(text, NEW, "images.yaml")


@pytest.mark.parametrize(
    ("before", "after", "indent"),
    [
        ("images:\n  - nginx:1.16\n", "", "  "),
        ("images:\n- nginx:1.16\n", "", ""),
        ("images:\n    -   nginx:1.16   # why\n", "", "    "),
        ("images:\n  - nginx:1.16\n", "\n# about builds\nplatforms: all\n", "  "),
        ("images:\n  # first\n  - nginx:1.16\n", "  # commented out\n  # - redis:7\n\nplatforms: all\n", "  "),
        ("images:\n  - source: nginx\n    tags:\n      - '1.16' # in quotes\n", "platforms: all\n", "  "),
        ("images:\n  - {source: nginx,\n     tags: ['1.16']}\n", "\nplatforms: all\n", "  "),
        ("images:\n  - source: >-\n      nginx:1.16\n", "\nplatforms: all\n", "  "),
        ('"images":\n  - "nginx:1.16"\n', "", "  "),
    ],
)
def test_a_list_of_lines_gets_lines(before: str, after: str, indent: str) -> None:
    lines = "".join(f"{indent}- {line}\n" for line in LINES)
    assert added(HEAD + before + after) == HEAD + before + lines + after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("images: [nginx:1.16", "]\nplatforms: all\n"),
        ("images: [\n  nginx:1.16", "  # why, not [\n]\n"),
        ("images: [nginx:1.16", " ,]\n"),
        ('images: ["nginx:1.16", {source: redis, tags: ["7"]}', "]"),
    ],
)
def test_a_list_in_brackets_gets_entries_inside_them(before: str, after: str) -> None:
    assert added(HEAD + before + after) == HEAD + before + ", " + ", ".join(LINES) + after


def test_the_line_ends_of_the_file_are_kept() -> None:
    text = (HEAD + "images:\n  - nginx:1.16\n").replace("\n", "\r\n")
    assert added(text).count("\n") == added(text).count("\r\n")


def test_a_last_line_without_an_end_gets_one() -> None:
    assert added(HEAD + "images:\n  - nginx:1.16").startswith(HEAD + "images:\n  - nginx:1.16\n  - node:20\n")


def test_what_was_added_is_there_afterwards() -> None:
    manifest = loads(added(HEAD + "images: [nginx:1.16]\n"), "images.yaml")
    assert [image.source for image in manifest.images][1:] == [entry.source for entry in NEW]


def test_lines_are_those_of_yaml_and_no_others() -> None:
    text = HEAD.replace("}", ", resource_tags: {owner: a\u2028b}}") + "images:\n  - nginx:1.16\n"
    assert added(text) == text + "".join(f"  - {line}\n" for line in LINES)


def test_a_text_of_somebody_else_stays_one_text() -> None:
    (entry,) = YAML(typ="safe").load(f"- {NewImage('a:1', ('x], y: [z',)).text}")
    assert entry == {"source": "a:1", "platforms": ["x], y: [z"]}


def test_nothing_to_add_changes_nothing() -> None:
    assert add_images("not even a manifest", [], "images.yaml") == "not even a manifest"


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        (HEAD + "images: [nginx:1.16]\n", [NewImage("nginx:1.16")]),
        (HEAD + "images: &all [nginx:1.16]\n", NEW),
        (HEAD + "images:\n  - nginx:1.16\n", [NewImage("not an image")]),
    ],
)
def test_what_would_be_no_manifest_is_refused_with_what_to_write(text: str, entries: list[NewImage]) -> None:
    with pytest.raises(Refused) as refusal:
        add_images(text, entries, "images.yaml")
    assert refusal.value.code == "manifest.cannot_add"
    assert entries[0].text in (refusal.value.hint or "")
