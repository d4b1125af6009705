"""Values of a manifest that look like secrets and are plain text in every plan of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from toolkit.plan.desired import Desired

_NAME = re.compile(r"(?i)passw|secret|token|credential|api_?key|access_?key|private_?key|(^|_)(pat|pwd|auth)(_|$)")
# An address with a password in it, a PEM block, tokens of AWS, GitHub, GitLab, Slack and npm, a JSON web token.
_VALUE = re.compile(
    r"://[^/\s:@]*:[^/\s:@]+@|-----BEGIN [A-Z ]*PRIVATE KEY|\b(AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_\w{20}|"
    r"\bgithub_pat_|\bglpat-|\bxox[a-z]-|\bnpm_\w{20}|\beyJ[\w-]{10,}\.eyJ"
)


def secret_looking(desired: Desired) -> Iterator[str]:
    """Where such values are, by name; never the values."""
    for build in desired.builds:
        for name, value in build.environment_variables.items():
            if _NAME.search(name) or _VALUE.search(value):
                yield f"the variable `{name}` of the build `{build.name}`"
        if any(map(_VALUE.search, build.buildspec_commands)):
            yield f"the commands of the build `{build.name}`"
