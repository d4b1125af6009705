"""The templates of this package: every value in them is encoded as HCL."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from toolkit.terraform.hcl import encode

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _environment() -> Environment:
    # A tenth of a run that renders nothing, such as `status`.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    # The output is HCL, not HTML: `encode` does the escaping.
    return Environment(  # noqa: S701
        loader=PackageLoader("toolkit.terraform"),
        finalize=encode,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )


def render_template(template: str, values: Mapping[str, object]) -> str:
    """The text of `template` with `values`."""
    return _environment().get_template(template).render(values)
