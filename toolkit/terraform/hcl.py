"""Python values as HCL expressions: every value in generated Terraform is encoded here.

`encode` is the `finalize` of the jinja2 environment, so no template can forget it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.errors import Refused

_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True, slots=True)
class Expression:
    """Text that is already HCL: a generated address, or an encoded argument."""

    text: str


def encode(value: object) -> str:
    """`value` as an HCL expression on one line, formatted as by `terraform fmt`; keys of mappings are sorted.

    Terraform itself converts text to Unicode's composed form (NFC). Raises Refused for text and numbers that HCL cannot
    represent, TypeError for values of other types.
    """
    match value:
        case Expression(text):
            return text
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            if not math.isfinite(value):
                raise Refused("terraform.value_not_encodable", f"Terraform cannot represent the number `{value}`")
            return repr(value)
        case str():
            return _quote(value)
        case list() | tuple():
            return f"[{', '.join(encode(item) for item in value)}]"
        case Mapping():
            if not value:
                return "{}"
            return f"{{ {', '.join(f'{_quote(key)} = {encode(value[key])}' for key in sorted(value))} }}"
    raise TypeError(f"no HCL for a {type(value).__name__}")


def _quote(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Refused(
            "terraform.value_not_encodable", f"the text `{text!a}` has half a surrogate pair, which is not Unicode"
        ) from error
    escaped = "".join(_SHORT_ESCAPES.get(character) or _escape(character) for character in text)
    # `${` and `%{` begin a template; a doubled `$` or `%` stands for itself.
    return '"' + escaped.replace("${", "$${").replace("%{", "%%{") + '"'


def _escape(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
