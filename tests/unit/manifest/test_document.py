from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.manifest.document import MAX_VALUES, Document, NotYaml, format_path, read_document


def read(text: str) -> Document:
    document = read_document(text)
    assert document is not None
    return document


def test_yaml_becomes_plain_data_by_the_rules_of_yaml_1_2() -> None:
    text = (
        "text: yes\nflag: true\nwhole: 12\nhex: 0x1F\noctal: 0o14\nfloat: 1.5\nnothing:\nday: 2024-01-01\nlist: [~]\n"
    )
    assert read(text).data == {
        "text": "yes",
        "flag": True,
        "whole": 12,
        "hex": 31,
        "octal": 12,
        "float": 1.5,
        "nothing": None,
        "day": "2024-01-01",
        "list": [None],
    }


def test_every_value_knows_its_line_and_the_text_that_was_written() -> None:
    document = read(
        "aws:\n  account_id: 012\nimages:\n  - a\n  -\n    source: b\n  - {source: c,\n     tags: [3.10]}\n"
    )
    place = document.place
    assert (place(("aws",)).line, place(("aws", "account_id")).line) == (1, 2)
    assert place(("aws", "account_id")).text == "012"
    assert [place(("images", number)).line for number in range(3)] == [4, 6, 7]
    assert place(("images", 2, "tags", 0)).line == 8
    assert place(("images", 2, "tags", 0)).text == "3.10"


def test_the_place_of_what_is_missing_is_that_of_its_container() -> None:
    assert read("version: 1\naws:\n  account_id: x\n").place(("aws", "region", "x")).line == 2


def test_a_path_ends_at_the_first_scalar() -> None:
    document = read("images:\n  - nginx\n  - {source: x}\n")
    assert document.trimmed(("images", 0, "source")) == ("images", 0)
    assert document.trimmed(("images", 1, "source")) == ("images", 1, "source")
    assert document.trimmed(("images", 1, "tags")) == ("images", 1, "tags")


def test_a_duplicate_key_is_a_finding_on_its_second_line_and_the_first_value_stays() -> None:
    document = read("a: 1\nb: 2\na: 3\n")
    [finding] = document.findings
    assert document.data == {"a": 1, "b": 2}
    assert finding.message == "`a` is given twice: line 1 has it too"
    assert finding.place is not None
    assert finding.place.line == 3


def test_anchors_aliases_and_merges_are_written_out() -> None:
    text = "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\nc:\n  <<: [{y: 9}, *a]\nd: *a\n"
    document = read(text)
    assert document.data == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"x": 1, "y": 9}, "d": {"x": 1, "y": 2}}
    assert document.findings == []
    assert document.place(("b", "x")).line == 1
    assert document.place(("b", "y")).line == 4


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("a: !secret x\n", "a", "the YAML tag `!secret` has no meaning here: remove it"),
        ("a: !!set {x}\n", "a", "the YAML tag `!!set` has no meaning here: remove it"),
        (
            "a: !!python/name:os.system x\n",
            "a",
            "the YAML tag `!!python/name:os.system` has no meaning here: remove it",
        ),
        ("a: !!int twelve\n", "a", "`twelve` is not a number"),
        ("? [a]\n: b\n", "", "a key must be text, not a list or mapping"),
        ("a: {<<: 1}\n", "a", "`<<` takes a mapping or a list of mappings"),
    ],
)
def test_what_has_no_meaning_is_a_finding(text: str, path: str, message: str) -> None:
    [finding] = read(text).findings
    assert (format_path(finding.path), finding.message) == (path, message)


def test_nothing_but_comments_is_no_document() -> None:
    assert read_document("") is None
    assert read_document("# only a comment\n") is None


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "not valid YAML: expected `,` or `]`, but got `:`"),
        (
            "a: 1\n\tb: 2\n",
            2,
            "a tab stands where only spaces may: indent with spaces",
        ),
        (
            "a: nginx: 1\n",
            1,
            "a `:` is not allowed here: check the indentation of this line and the one above, or quote the value",
        ),
        (
            "a: 1\n---\nb: 2\n",
            2,
            "there is a second YAML document: keep one, without `---` in the middle",
        ),
        ("a: 1\nb: *x\n", 2, "not valid YAML: found undefined alias `x`; text that begins with `*` needs quotes"),
        (
            "a: {versions: >=1}\n",
            1,
            "not valid YAML: found character `>` that cannot start any token; text that begins with `>` needs quotes",
        ),
        (
            "a: 1\nversions: >=1\n",
            2,
            "not valid YAML: expected chomping or indentation indicators, but found `=`; "
            "text that begins with `>` needs quotes",
        ),
        ('a: "\\U0010FFFF"\nb: "\\U00110000"\n', 2, "an escape `\\U` stands for no character"),
        ('a: "\\UFFFFFFFF"\n', 1, "an escape `\\U` stands for no character"),
        ("a: 1\nb: \x07\n", 2, "the character U+0007 is not allowed in YAML"),
        ("&a [*a]\n", 1, "lists and mappings are nested too deeply"),
        ("a: &a {<<: *a}\n", 1, "lists and mappings are nested too deeply"),
        ("[" * 5000, 1, "lists and mappings are nested too deeply"),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(NotYaml) as caught:
        read_document(text)
    assert (caught.value.line, caught.value.message) == (line, message)


@pytest.mark.parametrize("use", ["[{0}]", "{{<<: [{0}]}}"])
def test_a_few_lines_of_aliases_cannot_become_a_billion_values(use: str) -> None:
    first = "{x: 1}" if "<<" in use else "[x]"
    lines = [f"a0: &a0 {first}"]
    for level in range(1, 12):
        lines.append(f"a{level}: &a{level} " + use.format(", ".join([f"*a{level - 1}"] * 10)))
    with pytest.raises(NotYaml, match=f"more than {MAX_VALUES:,} values"):
        read_document("\n".join(lines))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("images", 2, "source"), "images[2].source"),
        (("registries", "docker.io", "endpoint"), "registries.docker.io.endpoint"),
        (("aws", "resource_tags", "cost center"), 'aws.resource_tags["cost center"]'),
        ((), ""),
    ],
)
def test_paths_are_written_as_people_write_them(path: tuple[str | int, ...], text: str) -> None:
    assert format_path(path) == text


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("abcxyz0189 :#-'\"\\\n", max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc:# ", max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(plain)
def test_json_reads_as_what_it_says(value: object) -> None:
    document = read_document(json.dumps(value))
    assert document is not None
    assert document.data == value
    assert document.findings == []
