"""Terraform's complaints in our words: one table, a test per row; first match wins.

AWS's failures come through the provider or the backend as prose, so they are matched as prose, to explain them and for
nothing else: no decision to try again hangs on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from toolkit.errors import AccessDenied, PlanStale, Refused, TerraformFailed, ToolkitError


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """What Terraform says is wrong; `severity` is `error` or `warning`, `address` a resource's, if it is about one."""

    severity: str
    summary: str
    detail: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class _Row:
    """A cause: `message` and `hint` may use the pattern's named groups; without a message Terraform's own stands."""

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
    _Row(
        r"not authorized to perform: (?P<action>[\w:-]+)( on resource: (?P<resource>\S+))?",
        AccessDenied,
        "aws.access_denied",
        "allow `{action}` for this role",
    ),
    _Row(
        r"operation error (?P<service>[\w ]+): (?P<operation>\w+),.*\bAccessDenied",
        AccessDenied,
        "aws.access_denied",
        "allow it for this role; if it is about Terraform's state: `plan` locks and writes that too",
        "AWS refused `{operation}` of {service} to these credentials",
    ),
    _Row(  # a lock on a local file ends with its process, and Terraform does not break it
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
        "look whether these credentials may write there",
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
        "on another platform, or with a mirror that you trust: run `toolkit lock-provider` and review its difference",
        "the AWS provider that would be installed has none of the checksums in the lock file",
    ),
    _Row(
        r"previously-selected version (?P<version>\S+) is no longer available",
        Refused,
        "provider.locked_is_gone",
        "add it to the mirror, or run `toolkit lock-provider` to lock another",
        "the lock file names version {version} of the AWS provider, which cannot be had",
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
        "there is no AWS provider that fits `{allowed}`",
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
        "take it back from Git, or run `toolkit lock-provider`",
        "the lock file of the AWS provider cannot be read",
    ),
    _Row(
        r"was not found in any of the search locations",
        TerraformFailed,
        "terraform.provider_not_found",
        "add the AWS provider (5.80 or newer, below 7) to the mirror, or unset TOOLKIT_PROVIDER_MIRROR",
        "the provider mirror does not hold an AWS provider that fits",
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
        "Terraform's working directory is not as `init` left it",
    ),
    _Row(
        r"created by a newer version of (Terraform|OpenTofu)",
        TerraformFailed,
        "terraform.too_old",
        "use the Terraform that wrote it, or name it with --terraform-bin",
        "Terraform's state was written by a newer Terraform than this one",
    ),
    _Row(
        r"Unsupported state file format|The state file could not be parsed",
        TerraformFailed,
        "terraform.state_unreadable",
        "put back its last good version (`terraform.tfstate.backup`, or the bucket's); where none is left, move it "
        "away and run again: what carries this manifest's tags is imported",
        "Terraform's state is damaged",
    ),
    _Row(
        r"Unsupported (Terraform|OpenTofu) Core version",
        TerraformFailed,
        "terraform.too_old",
        "install Terraform 1.6 or newer, for state in S3 1.10, or name another with --terraform-bin",
        "this Terraform is too old for what the manifest asks",
    ),
    _Row(
        r"RepositoryAlreadyExistsException: The repository with name '(?P<name>[^']*)'",
        TerraformFailed,
        "terraform.repository_exists",
        "run again: what carries this manifest's tags is imported",
        "the repository `{name}` exists already and is not in Terraform's state",
    ),
    _Row(
        r"RepositoryNotEmptyException: The repository with name '(?P<name>[^']*)'",
        TerraformFailed,
        "terraform.repository_not_empty",
        "plan again: it got images that the plan did not know of",
        "the repository `{name}` holds images, so AWS does not delete it",
    ),
    _Row(
        r"\b(EntityAlreadyExists|ResourceAlreadyExistsException)\b",
        TerraformFailed,
        "terraform.resource_exists",
        "run again: what carries this manifest's tags is imported; for others' use --adopt, or choose another name",
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
        "run again: it was deleted between the look and the plan",
        "a resource to be imported is gone",
    ),
    _Row(
        r"Saved plan is stale",
        PlanStale,
        "plan.stale",
        "plan again: the state has changed since, by an apply of this plan that broke off or by somebody else",
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

# What only AWS's support wants to know, in the middle of the sentence.
_TRANSPORT = re.compile(r"https response error StatusCode: \d+, RequestID: [^,]*, (HostID: [^,]*, )?(api error )?")


@dataclass(frozen=True, slots=True)
class StateLock:
    """Who holds the lock of Terraform's state, and since when (UTC)."""

    who: str
    since: datetime

    def waiting(self, now: datetime) -> str:
        """That we wait for it, as a sentence."""
        if self.since.year < 2000:  # a lock that was made without Terraform may lack the time
            return f"waiting for the lock of `{self.who}`"
        seconds = max(0, int((now - self.since).total_seconds()))
        unit, length = next(((u, n) for u, n in (("d", 86400), ("h", 3600), ("min", 60)) if seconds >= n), ("s", 1))
        shown = f"{self.since:%H:%M}" if self.since.date() == now.date() else f"{self.since:%Y-%m-%d %H:%M}"
        return f"waiting for the lock of `{self.who}` since {shown} UTC ({seconds // length} {unit})"


def lock_in(diagnostic: Diagnostic) -> StateLock | None:
    """The lock that Terraform met, where it says whose."""
    found = _HELD.search(" ".join(f"{diagnostic.summary} {diagnostic.detail}".split()))
    if found is None:
        return None
    since = datetime.strptime(found["when"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return StateLock(found["who"], since)


def hint_for(diagnostic: Diagnostic) -> str | None:
    """Our cure, where we know one; never for a warning."""
    found = _find(diagnostic) if diagnostic.severity == "error" else None
    return found[0].hint.format(**found[1]) if found else None


def explain(diagnostic: Diagnostic) -> ToolkitError:
    """Our error for one of Terraform's; an unknown one keeps Terraform's own words."""
    found = _find(diagnostic)
    words = _sentence(diagnostic)
    if found is None:
        return TerraformFailed("terraform.failed", words)
    row, groups = found
    message = row.message.format(**groups) if row.message else words
    return row.kind(row.code, message, hint=row.hint.format(**groups))


def _find(diagnostic: Diagnostic) -> tuple[_Row, dict[str, str]] | None:
    # As text, Terraform wraps its words.
    text = " ".join(f"{diagnostic.summary} {diagnostic.detail}".split())
    for pattern, row in _COMPILED:
        match = pattern.search(text)
        if match:
            return row, {name: value or "" for name, value in match.groupdict().items()}
    return None


def _sentence(diagnostic: Diagnostic) -> str:
    summary = _TRANSPORT.sub("", diagnostic.summary.strip().split("\n\n")[0]).replace("\n", " ").rstrip(".")
    about_resource = diagnostic.address and not diagnostic.address.startswith("provider[")
    return f"`{diagnostic.address}`: {summary}" if about_resource else summary
