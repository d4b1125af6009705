"""What can go wrong with a registry or its documents: one class for each way to react.

Every error has a stable dotted `code`, one sentence as `message` and at most one `hint`. No text holds a header, a
query string or a secret, whatever it quotes of a response.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from toolkit.oci.masking import cleaned

_LONGEST_WORDS = 300
# More of what a registry says is not looked at.
_LONGEST_READ = 20_000


class OciError(Exception):
    """Anything that this package raises on purpose."""

    default_code: ClassVar[str] = "oci.failed"

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None) -> None:
        message = cleaned(message)
        super().__init__(message)
        self.code = code or self.default_code
        self.message = message
        self.hint = hint


class InvalidReference(OciError):
    """A text that names no image."""

    default_code = "oci.invalid_reference"


class InvalidDigest(OciError):
    """A text that is no content digest of a known algorithm."""

    default_code = "oci.invalid_digest"


class InvalidPlatform(OciError):
    """A text that is no `os/architecture[/variant]`."""

    default_code = "oci.invalid_platform"


class InvalidEndpoints(OciError):
    """A list of registry endpoints that cannot be read."""

    default_code = "oci.invalid_endpoints"


class InvalidDocument(OciError):
    """A manifest or index that breaks its own format."""

    default_code = "oci.invalid_document"


class UnsupportedDocument(OciError):
    """A document of a kind that cannot be copied."""

    default_code = "oci.unsupported_document"


class MissingPlatform(OciError):
    """An index lacks a wanted platform; `offered` names those that it has."""

    default_code = "oci.missing_platform"

    def __init__(self, message: str, *, offered: tuple[str, ...] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.offered = offered


class DigestMismatch(OciError):
    """Content that is not what its digest says. A transfer is tried again once; after that the content is damaged."""

    default_code = "oci.digest_mismatch"


class ReferrersChanged(OciError):
    """A registry lists other referrers of an image than it did when the index of them was pinned."""

    default_code = "oci.referrers_changed"


class SizeMismatch(OciError):
    """Content that is longer or shorter than its descriptor says."""

    default_code = "oci.size_mismatch"


class NotAsCopied(OciError):
    """A tag does not point to what was put. With `is_missing` it points to nothing, which may pass."""

    default_code = "oci.not_as_copied"

    def __init__(self, message: str, *, is_missing: bool) -> None:
        super().__init__(message)
        self.is_missing = is_missing


class CredentialUnusable(OciError):
    """A stored credential, or the program that provides one, exists and does not work."""

    default_code = "oci.credential_unusable"


class LayoutUnusable(OciError):
    """A directory that is no image layout, is damaged, or cannot be written."""

    default_code = "oci.layout_unusable"


class ConnectionFailed(OciError):
    """No complete response came from `host`; `reason` says why in two words.

    `is_temporary` is False where no retry helps, such as with a bad certificate.
    """

    default_code = "oci.connection_failed"

    def __init__(
        self,
        message: str,
        *,
        host: str,
        reason: str = "connection failed",
        is_temporary: bool = True,
        hint: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.reason = reason
        self.host = host
        self.is_temporary = is_temporary


class RegistryError(OciError):
    """A registry refused a request or failed. `error_codes` are those of its JSON body, in upper case."""

    default_code = "oci.registry_error"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        host: str,
        error_codes: tuple[str, ...] = (),
        hint: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.status = status
        self.host = host
        self.error_codes = error_codes

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may succeed later; two tables decide, never the text."""
        return self.status in TEMPORARY_STATUSES or any(c in TEMPORARY_CODES for c in self.error_codes)


class NotFound(RegistryError):
    """The repository, tag or content does not exist; with `NAME_UNKNOWN` among the codes, the repository."""

    default_code = "oci.not_found"


class LayoutIncomplete(NotFound):
    """An image layout lacks a part of one of its images, or has only some of its bytes."""

    default_code = "oci.layout_incomplete"


class Unauthorized(RegistryError):
    """The registry wants a credential, or another one than it got."""

    default_code = "oci.unauthorized"


class Denied(RegistryError):
    """The registry accepts the credential and refuses the request."""

    default_code = "oci.denied"


class TagImmutable(RegistryError):
    """The tag exists and can never be written again, not even with the same digest."""

    default_code = "oci.tag_immutable"


class SubjectRefused(RegistryError):
    """The registry does not support OCI 1.1 and refuses a document with `subject` or `artifactType`."""

    default_code = "oci.subject_refused"


class TooManyRequests(RegistryError):
    """The registry wants fewer requests.

    With `is_pull_limit` the pulls of several hours are used up, so a run cannot wait for more. Otherwise a short pause
    is enough.
    """

    default_code = "oci.too_many_requests"

    def __init__(
        self,
        message: str,
        *,
        host: str,
        is_pull_limit: bool = False,
        status: int = 429,
        error_codes: tuple[str, ...] = (),
        hint: str | None = None,
    ) -> None:
        code = "oci.pull_limit_reached" if is_pull_limit else None
        super().__init__(message, status=status, host=host, error_codes=error_codes, hint=hint, code=code)
        self.is_pull_limit = is_pull_limit

    @property
    def is_temporary(self) -> bool:
        """True unless the pull limit is reached."""
        return not self.is_pull_limit


# The same request may succeed when sent again. 499 comes from storage that gave up waiting; 520 to 524 and 530 are
# Cloudflare's words for a registry behind it that does not respond.
TEMPORARY_STATUSES = frozenset({408, 425, 429, 499, 500, 502, 503, 504, 520, 521, 522, 523, 524, 530})
# The same, said by a code under another status. BLOB_UPLOAD_*: the session is lost, and a new one may work.
TEMPORARY_CODES = frozenset({"TOOMANYREQUESTS", "UNAVAILABLE", "BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"})


def registry_words(words: Iterable[str]) -> str:
    """What a registry said, fit for a terminal and a log: cleaned, on one line, and cut."""
    text = " ".join(cleaned(" ".join(words)[:_LONGEST_READ]).split())
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= _LONGEST_WORDS else text[: _LONGEST_WORDS - 1] + "…"
