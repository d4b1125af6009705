"""Terraform's diagnostics as our errors: one table, one test per row; first match wins.

The provider and the backend report AWS's failures as prose, so the patterns match prose. The match only chooses the
explanation; no retry depends on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from toolkit.errors import AccessDenied, PlanStale, Refused, TerraformFailed, ToolkitError, denied_by_aws


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """Terraform's own report; `severity` is `error` or `warning`, `address` is the resource's if it concerns one."""

    severity: str
    summary: str
    detail: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class _Row:
    """A cause. `message` and `hint` may use the pattern's named groups; without `message`, Terraform's own is used."""

    pattern: str
    kind: type[ToolkitError]
    code: str
    hint: str
    message: str | None = None


_LOCKED = r"Error acquiring the state lock"
_LOCK_INFO = r".* ID: (?P<id>\S+).* Who: (?P<who>.*?) Version:.* Created: (?P<when>\S+ [\d:]+)"

_TABLE = (
    _Row(
        r"AWS account ID not allowed: (?P<account>\d+)",
        Refused,
        "aws.wrong_account",
        "switch the profile or role, or correct `aws.account_id`",
        "these credentials belong to account `{account}`, which the manifest does not allow",
    ),
    _Row(
        r"\bExpiredToken(Exception)?\b|\bRequestExpired\b|token.* (has|is) expired",
        AccessDenied,
        "aws.credentials_expired",
        "renew the session (`aws sso login`, or a new role session) and run again",
        "the AWS credentials have expired",
    ),
    _Row(
        r"\b(InvalidClientTokenId|UnrecognizedClientException|SignatureDoesNotMatch|AuthFailure|InvalidAccessKeyId)\b",
        AccessDenied,
        "aws.credentials_invalid",
        "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_PROFILE",
        "AWS does not accept these credentials",
    ),
    _Row(
        r"No valid credential sources found",
        AccessDenied,
        "aws.no_credentials",
        "set AWS_PROFILE or AWS_ACCESS_KEY_ID",
        "Terraform found no AWS credentials",
    ),
    _Row(  # S3 says no more than this to a HEAD
        r"operation error S3: HeadObject,.*StatusCode: 403",
        AccessDenied,
        "aws.access_denied",
        "allow `s3:GetObject` and `s3:ListBucket` for this role: `toolkit iam-policy` prints what it needs",
        "AWS refused `s3:GetObject` or `s3:ListBucket` for Terraform's state to these credentials",
    ),
    _Row(
        r"operation error (?P<service>[\w ]+): (?P<operation>\w+),.*\bAccessDenied",
        AccessDenied,
        "aws.access_denied",
        "allow it for this role: `toolkit iam-policy` prints what it needs",
        "AWS refused `{operation}` of {service} to these credentials",
    ),
    _Row(  # the lock on a local file ends with its process, and `force-unlock` cannot break it
        _LOCKED + r".*resource temporarily unavailable" + _LOCK_INFO,
        Refused,
        "state.locked",
        "wait for that run to end, or give it more time with --lock-timeout",
        "the state is locked by `{who}` since {when} UTC (lock `{id}`); Terraform changed nothing",
    ),
    _Row(
        _LOCKED + _LOCK_INFO,
        Refused,
        "state.locked",
        "wait for that run; if it died, run `terraform force-unlock {id}` in the working directory",
        "the state is locked by `{who}` since {when} UTC (lock `{id}`); Terraform changed nothing",
    ),
    _Row(
        _LOCKED,
        TerraformFailed,
        "state.lock_failed",
        "check that these credentials may write there",
    ),
    _Row(
        r"Backend configuration changed|Backend configuration block has changed|approval for state migration",
        TerraformFailed,
        "terraform.backend_changed",
        "run `terraform init -migrate-state` in the working directory, or restore `terraform.backend`, then run again",
        "the manifest names another place for Terraform's state than the last run used",
    ),
    _Row(
        r'S3 bucket "(?P<bucket>[^"]*)" does not exist',
        TerraformFailed,
        "terraform.bucket_missing",
        "create it first, with versioning, or correct `terraform.backend.s3`",
        "the bucket `{bucket}` for Terraform's state does not exist",
    ),
    _Row(
        r"doesn't match any of the checksums|does not match any of the checksums",
        Refused,
        "provider.not_the_locked",
        "on a new platform, or with a mirror that you trust, run `toolkit lock-provider` and review the change",
        "the AWS provider to be installed has none of the checksums in the lock file",
    ),
    _Row(
        r"previously-selected version (?P<version>\S+) is no longer available",
        Refused,
        "provider.locked_is_gone",
        "add it to the mirror, or run `toolkit lock-provider` to lock another",
        "the lock file names version {version} of the AWS provider, which is not available",
    ),
    _Row(
        r"locked provider \S+ (?P<version>\S+) does not match configured version constraint",
        Refused,
        "provider.lock_is_old",
        "run `toolkit lock-provider`",
        "the lock file names version {version} of the AWS provider, which `terraform.provider_version` does not allow",
    ),
    _Row(
        r"no available releases match the given constraints (?P<allowed>[^a-zA-Z]*[0-9])",
        TerraformFailed,
        "provider.not_available",
        "correct `terraform.provider_version`, or add a version that it allows to the mirror",
        "no AWS provider satisfies `{allowed}`",
    ),
    _Row(
        r"Provider dependency changes detected",
        Refused,
        "provider.lock_is_old",
        "run `toolkit lock-provider`",
        "the lock file of the AWS provider was made for another manifest or another program",
    ),
    _Row(
        r"failed to read dependency lock file",
        Refused,
        "provider.lock_unreadable",
        "restore it from Git, or run `toolkit lock-provider`",
        "the lock file of the AWS provider cannot be read",
    ),
    _Row(
        r"was not found in any of the search locations",
        TerraformFailed,
        "terraform.provider_not_found",
        "add the AWS provider (5.80 or newer, below 7) to the mirror, or unset TOOLKIT_PROVIDER_MIRROR",
        "the provider mirror has no suitable AWS provider",
    ),
    _Row(
        r"Failed to query available provider packages|Failed to install provider|could not connect to registry",
        TerraformFailed,
        "terraform.registry_unreachable",
        "allow access to the Terraform registry, or name a provider mirror in TOOLKIT_PROVIDER_MIRROR",
        "Terraform cannot get the AWS provider from its registry",
    ),
    _Row(
        r"Required plugins are not installed|Inconsistent dependency lock file|Module not installed",
        TerraformFailed,
        "terraform.not_initialised",
        "remove `.terraform` in the working directory and run again",
        "Terraform's working directory was changed after `init`",
    ),
    _Row(
        r"created by a newer version of (Terraform|OpenTofu)",
        TerraformFailed,
        "terraform.too_old",
        "install that version or a newer one, or name it with --terraform-bin",
        "Terraform's state was written by a newer Terraform than this one",
    ),
    _Row(
        r"Unsupported state file format|The state file could not be parsed",
        TerraformFailed,
        "terraform.state_unreadable",
        "restore its last good version (`terraform.tfstate.backup`, or the bucket's); if there is none, move it away "
        "and run again: resources with this manifest's tags are imported",
        "Terraform's state is damaged",
    ),
    _Row(
        r"Unsupported (Terraform|OpenTofu) Core version",
        TerraformFailed,
        "terraform.too_old",
        "install Terraform 1.6 or newer, for state in S3 1.10, or name another with --terraform-bin",
        "this Terraform is too old for the manifest",
    ),
    _Row(
        r"RepositoryAlreadyExistsException: The repository with name '(?P<name>[^']*)'",
        TerraformFailed,
        "terraform.repository_exists",
        "run again: resources with this manifest's tags are imported",
        "the repository `{name}` already exists and is not in Terraform's state",
    ),
    _Row(
        r"RepositoryNotEmptyException: The repository with name '(?P<name>[^']*)'",
        TerraformFailed,
        "terraform.repository_not_empty",
        "plan again: it has received images that are not in the plan",
        "the repository `{name}` holds images, so AWS does not delete it",
    ),
    _Row(
        r"\b(EntityAlreadyExists|ResourceAlreadyExistsException)\b",
        TerraformFailed,
        "terraform.resource_exists",
        "run again: resources with this manifest's tags are imported; for others, use --adopt or choose another name",
    ),
    _Row(
        r"Could not find access token for server type (?P<host>[\w-]+)",
        TerraformFailed,
        "terraform.git_host_unknown",
        "give the build's `source` a `connection` or a `secret`, or connect CodeBuild to the host in its console",
        "CodeBuild has no credential for `{host}` in this account and region",
    ),
    _Row(
        r"Cannot import non-existent remote object",
        TerraformFailed,
        "terraform.adoption_gone",
        "run again: it was deleted while the plan was made",
        "a resource to be imported no longer exists",
    ),
    _Row(
        r"Saved plan is stale",
        PlanStale,
        "plan.stale",
        "plan again: an interrupted apply of this plan, or somebody else, has changed the state since",
        "the plan is stale and was not applied",
    ),
    _Row(
        r"request send failed|no such host|connection refused",
        TerraformFailed,
        "terraform.aws_unreachable",
        "check the network, the region and AWS_ENDPOINT_URL",
    ),
)
_HELD = re.compile(_LOCKED + _LOCK_INFO)
_COMPILED = tuple((re.compile(row.pattern), row) for row in _TABLE)

# Details for AWS's support, in the middle of the sentence.
_TRANSPORT = re.compile(r"https response error StatusCode: \d+, RequestID: [^,]*, (HostID: [^,]*, )?(api error )?")


@dataclass(frozen=True, slots=True)
class StateLock:
    """Who holds the lock of Terraform's state, and since when (UTC)."""

    who: str
    since: datetime

    def waiting(self, now: datetime) -> str:
        """The notice that we wait for the lock."""
        if self.since.year < 2000:  # a lock that was made without Terraform may lack the time
            return f"waiting for the lock of `{self.who}`"
        seconds = max(0, int((now - self.since).total_seconds()))
        unit, length = next(((u, n) for u, n in (("d", 86400), ("h", 3600), ("min", 60)) if seconds >= n), ("s", 1))
        shown = f"{self.since:%H:%M}" if self.since.date() == now.date() else f"{self.since:%Y-%m-%d %H:%M}"
        return f"waiting for the lock of `{self.who}` since {shown} UTC ({seconds // length} {unit})"


def lock_in(diagnostic: Diagnostic) -> StateLock | None:
    """The lock that Terraform reports, if it names the holder."""
    found = _HELD.search(_text(diagnostic))
    if found is None:
        return None
    since = datetime.strptime(found["when"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return StateLock(found["who"], since)


def hint_for(diagnostic: Diagnostic) -> str | None:
    """Our hint, if we know one; never for a warning."""
    error = explain(diagnostic) if diagnostic.severity == "error" else None
    return error.hint if error else None


def explain(diagnostic: Diagnostic) -> ToolkitError:
    """Our error for an error of Terraform; an unknown one keeps Terraform's own words."""
    if denied := denied_by_aws(_text(diagnostic)):
        return denied
    found = _find(diagnostic)
    words = _sentence(diagnostic)
    if found is None:
        return TerraformFailed("terraform.failed", words)
    row, groups = found
    message = row.message.format(**groups) if row.message else words
    return row.kind(row.code, message, hint=row.hint.format(**groups))


def _find(diagnostic: Diagnostic) -> tuple[_Row, dict[str, str]] | None:
    text = _text(diagnostic)
    for pattern, row in _COMPILED:
        match = pattern.search(text)
        if match:
            return row, {name: value or "" for name, value in match.groupdict().items()}
    return None


def _text(diagnostic: Diagnostic) -> str:
    """Summary and detail on one line, because plain text from Terraform is wrapped."""
    return " ".join(f"{diagnostic.summary} {diagnostic.detail}".split())


def _sentence(diagnostic: Diagnostic) -> str:
    summary = _TRANSPORT.sub("", diagnostic.summary.strip().split("\n\n")[0]).replace("\n", " ").rstrip(".")
    about_resource = diagnostic.address and not diagnostic.address.startswith("provider[")
    return f"`{diagnostic.address}`: {summary}" if about_resource else summary
