"""A result as one HTML page."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping


def render_html(document: Mapping[str, object]) -> str:
    """The JSON document of a result as a page."""
    body = html.escape(json.dumps(document, indent=2))
    return f"<!doctype html>\n<meta charset=utf-8>\n<title>toolkit</title>\n<pre>{body}</pre>\n"
