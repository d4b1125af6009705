from __future__ import annotations

import base64
import json
import subprocess
import unicodedata
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.real_parts import require
from toolkit.errors import Refused
from toolkit.terraform.hcl import Expression, encode

# What HCL gives a meaning to inside quotes, and what breaks lines and terminals.
_MARKS = '${}%"\\\n~u0'
# Half surrogates are refused; what this Python's Unicode has not assigned, Terraform's may compose.
_characters = st.characters(exclude_categories=("Cs", "Cn"))
_texts = st.text(_characters, max_size=30) | st.text(_MARKS, max_size=12)
_keys = _texts.map(lambda text: unicodedata.normalize("NFC", text))
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=6,
)


def _read_back(folder: Path, values: Sequence[object]) -> list[object]:
    """`values` as the real Terraform understands them; a console reads lines of up to 64 KiB and prints the last."""
    found: list[object] = []
    for start in range(0, len(values), 50):
        result = subprocess.run(
            [require("terraform"), "console"],
            input=f"base64encode(jsonencode({encode(values[start : start + 50])}))\n".encode(),
            capture_output=True,
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "CHECKPOINT_DISABLE": "1"},
            check=False,
        )
        assert result.returncode == 0, result.stderr.decode()
        found += json.loads(base64.b64decode(json.loads(result.stdout)))
    return found


def _composed(value: object) -> object:
    """`value` in Unicode's composed form, which Terraform gives to every text."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, list):
        return [_composed(item) for item in value]
    if isinstance(value, dict):
        return {_composed(key): _composed(item) for key, item in value.items()}
    return value


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(values=st.lists(_values, min_size=50, max_size=100))
def test_any_value_survives_to_the_real_terraform(
    values: list[object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("console")
    assert _read_back(folder, values) == [_composed(value) for value in values]


def test_every_combination_of_template_marks_survives(tmp_path: Path) -> None:
    texts: list[object] = ["".join(marks) for marks in product('${%"\\', repeat=4)]
    assert _read_back(tmp_path, texts) == texts


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-7, "-7"),
        (2.5, "2.5"),
        ("", '""'),
        ("nginx", '"nginx"'),
        ('a "b" \\ c', r'"a \"b\" \\ c"'),
        ("${var.x} %{if}", '"$${var.x} %%{if}"'),
        ("a\r\n\tb\0\x7f", r'"a\r\n\tb\u0000\u007f"'),
        ("é 中 🙂", '"é 中 🙂"'),
        ("\u202e\U000e0001", r'"\u202e\U000e0001"'),
        ([], "[]"),
        (("a", 1), '["a", 1]'),
        ({}, "{}"),
        ({"b": 1, "a${": [True]}, '{ "a$${" = [true], "b" = 1 }'),
        (Expression("module.x"), "module.x"),
        ([Expression("module.x")], "[module.x]"),
    ],
)
def test_values_are_written_as_terraform_fmt_would(value: object, text: str) -> None:
    assert encode(value) == text


@pytest.mark.parametrize("value", ["\ud800", "a\udfff", {"\ud800": 1}, float("nan"), float("inf")])
def test_what_terraform_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(Refused) as refused:
        encode(value)
    assert refused.value.code == "terraform.value_not_encodable"
    refused.value.message.encode()


@pytest.mark.parametrize("value", [object(), b"bytes", {"a", "b"}])
def test_a_value_without_meaning_in_hcl_is_a_bug(value: object) -> None:
    with pytest.raises(TypeError, match="no HCL"):
        encode(value)
