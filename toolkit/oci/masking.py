"""Keeps secrets out of messages: registries quote what they were sent, and signed addresses.

What was sent is remembered for the whole process, because errors arise and are shown in many places.
"""

from __future__ import annotations

import base64
import re
import threading
from collections import deque
from urllib.parse import quote

_MASK = "***"
# To mask a shorter password would spoil every other word, and such a password protects nothing.
_SHORTEST = 4
# A long run gets a token for each repository every few minutes; registries quote those that were sent lately.
_MOST_TOKENS = 1000
# Neither pattern looks at a character more than a few times, whatever a registry sends.
_QUERY = re.compile(r"(?<=[^\s?])[?#][^\s\"'`<>?#=]*=[^\s\"'`<>]*")
_SIGNED = re.compile(
    r"(?i)\b((?:x-(?:amz|goog|ms)-[\w-]{1,40}|\w{0,40}(?:signature|token)|sig|awsaccesskeyid)=)[^\s\"'`<>&]+"
)

_lock = threading.Lock()
_passwords: set[str] = set()
_tokens: deque[str] = deque(maxlen=_MOST_TOKENS)


def remember_password(password: str, username: str) -> None:
    """From now on `cleaned` masks `password`, also URL-encoded and as Basic authentication sends it."""
    if password in _passwords:
        return
    forms = [password, quote(password, safe="")]
    for text in (password, f"{username}:{password}"):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(text.encode()).decode()
            forms += [encoded, encoded.rstrip("=")]
    with _lock:
        _passwords.update(form for form in forms if len(form) >= _SHORTEST)


def remember_token(token: str) -> None:
    """From now on `cleaned` masks `token`, until many others have been sent."""
    if len(token) >= _SHORTEST:
        with _lock:
            _tokens.append(token)


def cleaned(text: str) -> str:
    """`text` without secrets that were sent to a registry, and without the queries of addresses."""
    with _lock:
        found = {secret for secrets in (_passwords, _tokens) for secret in secrets if secret in text}
    for secret in sorted(found, key=len, reverse=True):
        text = text.replace(secret, _MASK)
    return _SIGNED.sub(rf"\1{_MASK}", _QUERY.sub("", text))
