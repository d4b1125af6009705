"""What may happen to an answer on its way: each a change for `Changed`."""

from __future__ import annotations

from dataclasses import replace

from tests.support.fault_injection import Answered


def truncated(answered: Answered) -> Answered:
    """Half of it, as if that were all."""
    return answered.with_content(answered.content[: len(answered.content) // 2])


def overlong(answered: Answered) -> Answered:
    return answered.with_content(answered.content + b"more")


def runs_on(answered: Answered) -> Answered:
    """More comes than was told: what is left over would be taken for the next answer."""
    left_over = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    return replace(answered, content=answered.content + left_over)


def garbled(answered: Answered) -> Answered:
    """One wrong byte, where there is any."""
    return answered.with_content(answered.content[:-1] + b"#") if answered.content else answered


def misnamed(answered: Answered) -> Answered:
    return answered.with_headers(Docker_Content_Digest=f"sha256:{'0' * 64}")


def absolute_location(answered: Answered) -> Answered:
    """As it is; said so that nobody relies on it unseen."""
    assert answered.headers["Location"].startswith("http://")
    return answered


def relative_location(answered: Answered) -> Answered:
    return answered.with_headers(Location="/" + answered.headers["Location"].split("/", 3)[3])


def no_location(answered: Answered) -> Answered:
    return replace(answered, headers={name: text for name, text in answered.headers.items() if name != "Location"})
