"""The templates of this package: every value in them is encoded as HCL."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from toolkit.terraform.hcl import encode


@cache
def _environment() -> Environment:
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
