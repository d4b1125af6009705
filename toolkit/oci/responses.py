"""What a registry sent, and what that means as an error."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from toolkit.oci.errors import (
    Denied,
    InvalidDocument,
    NotFound,
    RegistryError,
    TooManyRequests,
    Unauthorized,
    registry_words,
)
from toolkit.oci.masking import cleaned
from toolkit.oci.reference import TAG

# Registries send one; each is cleaned, which costs time.
_MOST_ERRORS = 100
# A limit whose window is longer cannot be waited for within a run: Docker Hub counts pulls in 6 hours, while the
# request limits of other registries pass in a minute.
_SHORT_WINDOW_SECONDS = 900
_LIMIT = re.compile(r"\s*([0-9]{1,18})\s*;\s*w=([0-9]{1,18})(?![0-9])")  # Python refuses to read thousands of digits
# Each repetition keeps what it took (`++`, `*+`), so that a hostile header costs time in proportion to its length.
_LINK = re.compile(r'<([^<>]*+)>((?:\s*+;\s*+[^\s;,=]++\s*+=\s*+(?:"[^"]*+"|[^\s;,]*+))*+)')
_RELATION = re.compile(r';\s*+rel\s*+=\s*+"?+([^";]*+)', re.IGNORECASE)
# Refusals that last, each with a cure of its own.
_REFUSALS = {
    400: "oci.bad_request",
    402: "oci.payment_required",
    405: "oci.not_supported",
    406: "oci.not_acceptable",
    409: "oci.conflict",
    410: "oci.gone",
    413: "oci.too_large",
    451: "oci.blocked",
}
_SIGN_IN_HINT = "Check the name, and sign in if the repository is private."
_ABUSE_HINT = "Run with fewer parallel copies."
_PULL_HINT = "Wait until the limit's window has passed, sign in, or copy from a mirror such as `public.ecr.aws`."


class Headers(Protocol):
    """Response headers; names are matched without regard to case."""

    def get(self, name: str, /) -> str | None:
        """The value of `name`."""
        ...


@dataclass(frozen=True, slots=True)
class PullLimit:
    """How many counted pulls a registry says that there are.

    `source` is what they are counted for, in Docker Hub's words: an IP address, or the id of an account.
    """

    limit: int
    remaining: int
    window_seconds: int
    source: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """A response with its whole body. `host`, with its port, sent it, after any redirect, from the address `url`."""

    method: str
    host: str
    status: int
    headers: Headers
    body: bytes = field(default=b"", repr=False)
    challenges: tuple[str, ...] = ()
    url: str = field(default="", repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status < 300


def read_pull_limit(headers: Headers) -> PullLimit | None:
    """The limit in `ratelimit-limit: 100;w=21600` and `ratelimit-remaining`; None where pulls are not counted."""
    limit = _LIMIT.match(headers.get("ratelimit-limit") or "")
    remaining = _LIMIT.match(headers.get("ratelimit-remaining") or "")
    if not limit or not remaining:
        return None
    source = cleaned(headers.get("docker-ratelimit-source") or "")
    return PullLimit(int(limit[1]), int(remaining[1]), int(remaining[2]), source)


def read_next_page(headers: Headers) -> str | None:
    """Where a list goes on, as the registry spells it in `Link: <…>; rel="next"`; None where it ends.

    Some registries leave out the `rel`. A header that cannot be read is an error: the list may go on.
    """
    text = headers.get("Link") or ""
    links = _LINK.findall(text)
    if text.strip() and not links:
        raise InvalidDocument("its `Link` to the next page cannot be read")
    for address, parameters in links:
        relation = _RELATION.search(parameters)
        if relation is None or "next" in relation[1].lower().split():
            return str(address)
    return None


def read_tag_page(response: Response, subject: str) -> list[str]:
    """The tags on one page, of which there may be none. Raises InvalidDocument for anything else.

    Programs in Go write an empty list as `null`, or leave it out. What cannot be a tag is left out: no reference can
    name it, and its numbers may have any length.
    """
    try:
        found = json.loads(response.body)
    except (ValueError, RecursionError):
        found = None
    is_page = isinstance(found, dict) and not found.keys().isdisjoint({"name", "tags"})
    tags = (found.get("tags") or []) if is_page else None
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise InvalidDocument(f"`{response.host}` sent no list of tags when asked for {subject}")
    return [tag for tag in tags if TAG.fullmatch(tag)]


def refusal(response: Response, subject: str) -> RegistryError:
    """The error that `response` is; `subject` is the object in question, ready for a sentence."""
    entries = _entries(response.body)
    codes = tuple(dict.fromkeys(code for code, _ in entries))
    words = registry_words(f"{code}: {said}" if said else code for code, said in entries)
    message = f"`{response.host}` responded with {response.status} to {response.method} of {subject}"
    if words:
        message = f"{message}: {words}"
    status = response.status
    if status == 429 or "TOOMANYREQUESTS" in codes:
        is_pull_limit = _is_pull_limit(response, entries)
        advice = _PULL_HINT if is_pull_limit else _ABUSE_HINT
        return TooManyRequests(
            message, host=response.host, error_codes=codes, status=status, is_pull_limit=is_pull_limit, hint=advice
        )
    kind = {401: Unauthorized, 403: Denied, 404: NotFound}.get(status, RegistryError)
    hint = _SIGN_IN_HINT if status == 401 else None
    return kind(message, status=status, host=response.host, error_codes=codes, hint=hint, code=_REFUSALS.get(status))


def _is_pull_limit(response: Response, entries: list[tuple[str, str]]) -> bool:
    """Docker Hub has two kinds of 429 without a code. The one of the pull limit shows its counter or names it.

    The other, against abuse, is a bare text; ECR's throttling says `Rate exceeded`.
    """
    counted = read_pull_limit(response.headers)
    if counted is not None and counted.remaining == 0 and counted.window_seconds > _SHORT_WINDOW_SECONDS:
        return True
    return any(code == "TOOMANYREQUESTS" and "pull rate limit" in said.lower() for code, said in entries)


def _entries(body: bytes) -> list[tuple[str, str]]:
    """Code, in upper case, and message of each error in a registry's JSON body; nothing of any other body."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return []
    errors = found.get("errors") if isinstance(found, Mapping) else None
    if not isinstance(errors, list):
        return []
    entries = []
    for error in errors[:_MOST_ERRORS]:
        if isinstance(error, Mapping):
            said = error.get("message")
            code = cleaned(
                str(error.get("code") or "UNKNOWN")
            ).upper()  # cleaned first: a secret in upper case would not be recognised
            entries.append((code, said if isinstance(said, str) else ""))
    return entries
