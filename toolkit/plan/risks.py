"""What a valid manifest should not do without somebody having thought about it: secrets in plain text, rights without
bounds, caches and privileges that a foreign pull request can use.

`plan` and `validate` show these as notices, `--strict` refuses them. The manifest's `ignore` accepts one for a reason
and for a time. No message repeats a value. Pure: today's date is an argument.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from fnmatch import fnmatchcase

from toolkit.manifest.build_checks import builds_foreign_code
from toolkit.manifest.build_model import BuildProjectSpec, StatementSpec
from toolkit.manifest.model import IgnoreSpec, Manifest, RepositorySettingsSpec
from toolkit.plan.model import Notice

Risk = tuple[str, Notice]
"""The place in the manifest, and what is said of it."""

# The forms of secrets that need no telling name around them.
_SHAPES = (
    ("an AWS access key", r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b"),
    ("a GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{36,})"),
    ("a GitLab token", r"\bgl(?:pat|ptt|dt|rt|cbt)-[\w-]{20,}"),
    ("a Docker Hub token", r"\bdckr_(?:pat|oat)_[\w-]{20,}"),
    ("a Slack token", r"\bxox[abeoprs]-[\w-]{10,}|hooks\.slack\.com/services/T\w+/B\w+/\w+"),
    ("an npm or PyPI token", r"\bnpm_[A-Za-z0-9]{36}\b|\bpypi-[\w-]{50,}"),
    ("an API key", r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}|\bsk-[\w-]{32,}|\bAIza[\w-]{35}"),
    ("a SendGrid key", r"\bSG\.[\w-]{16,}\.[\w-]{16,}"),
    ("a Vault token", r"\bhv[sb]\.[\w-]{20,}"),
    ("a JSON Web Token", r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
    ("a private key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    ("an address with a password", r"\b[a-z][a-z0-9+.-]*://[^\s/:@]*:(?![$<{*])[^\s/@]+@"),
    ("a Docker login", r'"auth"\s*:\s*"[A-Za-z0-9+/=]{8,}"'),
    ("a password", r"""(?i)["']\w*(?:password|passwd|secret|token)["']\s*:\s*["'](?![$<{])[^"']+"""),
    ("a password", r"""--password[ =](?!["']?[$<{-])\S"""),
)
_ASSIGNED = re.compile(r"""\b(\w+)=["']?([^\s"';&|]+)""")
_PASSWORD = re.compile(
    r"(?:PASSWORD|PASSWD|PASSPHRASE|(?:^|_)(?:PASS|PWD|PW|PRIVATE_?KEY|SECRET_?KEY|SECRET_ACCESS_KEY))_?[0-9]*$"
)
_TOKEN = re.compile(r"(?:^|_)(?:\w*TOKEN|SECRET|API_?KEY|ACCESS_?KEY|AUTH_?KEY|ENCRYPTION_?KEY|CREDENTIALS?)_?[0-9]*$")
_IS_PUBLIC = re.compile(r"(?:^|_)(?:PUBLIC|PUBLISHABLE|EXAMPLE)_|^(?:OLD)?PWD$")
# A reference, an address without a password, a path, a switch or a placeholder is no secret.
_IS_NONE = re.compile(
    r"[$<{]|arn:|https?://|\.{0,2}/|(?i:true|false|yes|no|on|off|none|null|disabled|enabled|required)$"
)
_IS_NAME = re.compile(r"[A-Za-z]+(?:[-._/:][A-Za-z]+|[-._/:]?[0-9]{1,4})*")
"""Words with separators: the name of a secret, not its value."""

_ALL_OF_IAM = ("createrole", "attachrolepolicy", "putrolepolicy", "updateassumerolepolicy", "createpolicyversion")
_OF_USERS = ("createaccesskey", "attachuserpolicy", "putuserpolicy", "addusertogroup", "createloginprofile")
_HANDS_OVER = ("iam:passrole", "sts:assumerole", *(f"iam:{action}" for action in (*_ALL_OF_IAM, *_OF_USERS)))
"""Actions by which a role gets the rights of another one."""
_READS_SECRETS = ("secretsmanager:getsecretvalue", "ssm:getparameter", "ssm:getparameters", "ssm:getparametersbypath")
_ANY_RESOURCE = re.compile(r"\*|arn:[^:]*:[^:]*:[^:]*:[^:]*:(?:\*|(?:role|user|secret|parameter)[:/]\*)")

_MAY_USE_DOCKER = re.compile(
    r"docker|buildah|podman|kaniko|\b(?:make|just|task|sh|bash|npm|npx|pnpm|yarn|mvnw?|gradlew?|sbt|bazel|python\d?|node"
    r"|go|cargo|sam|cdk|skaffold|tox|nox|pytest)\b|\./|\.sh\b"
)
"""Docker itself, and programs that may start it."""


def find_risks(manifest: Manifest, today: date) -> tuple[Notice, ...]:
    """A notice for each risk that the manifest does not ignore, and for each entry of `ignore` that has no effect."""
    risks = list(_risks(manifest))
    in_force = [entry for entry in manifest.ignore if today <= entry.last_day]
    kept = [risk for risk in risks if not any(_is_about(entry, risk) for entry in in_force)]
    of_risks = [(number, entry) for number, entry in enumerate(manifest.ignore) if entry.code.startswith("risk.")]
    useless = without_effect(of_risks, lambda entry: any(_is_about(entry, risk) for risk in risks), today)
    return (*(notice for _, notice in kept), *useless)


def without_effect(
    entries: Iterable[tuple[int, IgnoreSpec]], is_found: Callable[[IgnoreSpec], bool], today: date
) -> Iterator[Notice]:
    """A notice for each of the numbered entries of `ignore` that fits nothing, or whose time is over."""
    for number, entry in entries:
        if not is_found(entry):
            message = f"`ignore[{number}]` ignores `{entry.code}` at `{entry.at}`, where there is none"
            yield Notice("ignore.unused", message, hint="take it away, or correct `at`")
        elif entry.last_day < today:
            message = f"`ignore[{number}]` ended on {entry.until} and no longer ignores `{entry.code}` at `{entry.at}`"
            yield Notice("ignore.expired", message, hint="remove the risk, or decide anew and set another `until`")


def _is_about(entry: IgnoreSpec, risk: Risk) -> bool:
    place, notice = risk
    return entry.code == notice.code and (place == entry.at or place.startswith((f"{entry.at}.", f"{entry.at}[")))


def _risks(manifest: Manifest) -> Iterator[Risk]:
    yield from _repository_rights(manifest.repositories, "repositories")
    for number, image in enumerate(manifest.images):
        yield from _repository_rights(image.repository_settings, f"images[{number}].repository_settings")
    for build in manifest.builds:
        place = f"builds.{build.name}"
        yield from _plain_secrets(build, place)
        yield from _wide_rights(build.policy_statements, f"{place}.policy_statements")
        yield from _needless_privileges(build, place)
        yield from _shared_cache(build, place)


def _plain_secrets(build: BuildProjectSpec, place: str) -> Iterator[Risk]:
    """Everybody who may look at the project sees its variables and commands, and so does Terraform's state."""
    found = {
        f"{place}.environment_variables.{name}": secret_in(variable.value or "", name)
        for name, variable in build.environment_variables.items()
    }
    for position, command in enumerate(build.commands):
        kinds = (secret_in(command), *(secret_in(value, name) for name, value in _ASSIGNED.findall(command)))
        found[f"{place}.commands[{position}]"] = next(filter(None, kinds), None)
    for where, kind in found.items():
        if kind:
            yield (
                where,
                Notice(
                    "risk.plain_secret",
                    f"`{where}` has what looks like {kind}, and everybody with access to the project may read it",
                    hint="put it into Secrets Manager, and name it with `{secret: …}`; if it was real, replace it",
                ),
            )


def secret_in(text: str, name: str = "") -> str | None:
    """The kind of secret that `text` looks like, by its form or as the value of the variable `name`; None if none."""
    for kind, shape in _SHAPES:
        if re.search(shape, text):
            return kind
    upper = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()
    if not text.strip() or _IS_PUBLIC.search(upper) or _IS_NONE.match(text.strip()):
        return None
    if _PASSWORD.search(upper):
        return "a password"
    is_random = len(text) >= 8 and re.search(r"[0-9]", text) and re.search(r"[A-Za-z]", text)
    return "a token" if _TOKEN.search(upper) and is_random and not _IS_NAME.fullmatch(text) else None


def _wide_rights(statements: Iterable[StatementSpec], place: str) -> Iterator[Risk]:
    for position, statement in enumerate(statements):
        if statement.effect != "Allow" or not any(map(_ANY_RESOURCE.fullmatch, statement.resources)):
            continue
        wide = [action for action in statement.actions if _is_wide(action.lower())]
        where = f"{place}[{position}]"
        if wide:
            yield (
                where,
                Notice(
                    "risk.wide_rights",
                    f"`{where}` allows `{'`, `'.join(wide)}` on every resource",
                    hint="name the actions, and the ARNs of the roles, secrets and other resources that it needs",
                ),
            )


def _is_wide(action: str) -> bool:
    if action.partition(":")[2] == "*":
        return True
    return any(fnmatchcase(known, action) for known in (*_HANDS_OVER, *_READS_SECRETS))


def _repository_rights(settings: RepositorySettingsSpec, place: str) -> Iterator[Risk]:
    for position, statement in enumerate(settings.policy_statements):
        where = f"{place}.policy_statements[{position}]"
        if statement.effect == "Allow" and "ecr:*" in statement.actions:
            yield (
                where,
                Notice(
                    "risk.wide_rights",
                    f"`{where}` allows `ecr:*`, with which images can be overwritten and deleted",
                    hint="name the actions: a pull needs three",
                ),
            )


def _needless_privileges(build: BuildProjectSpec, place: str) -> Iterator[Risk]:
    """A buildspec of the user's may use Docker, so nothing is said about it."""
    is_machine = build.environment_type.endswith("_EC2")
    if is_machine or not build.has_docker or not build.commands or build.buildspec is not None:
        return
    if not any(map(_MAY_USE_DOCKER.search, build.commands)):
        yield (
            place,
            Notice(
                "risk.needless_privileges",
                f"`{place}` is privileged, which is as good as root on the build machine, and no command uses Docker",
                hint="say `privileged: false`, and leave `images` out",
            ),
        )


def _shared_cache(build: BuildProjectSpec, place: str) -> Iterator[Risk]:
    """The module keeps the caches in S3 of projects for pull requests apart; one project has only one cache."""
    if build.cache is None or build.webhook is None:
        return
    events = build.webhook.events
    of_pulls = {event for event in events if event.startswith("PULL_REQUEST_")}
    if of_pulls and of_pulls < events and (build.cache.location or builds_foreign_code(build.webhook)):
        yield (
            f"{place}.cache",
            Notice(
                "risk.shared_cache",
                f"`{place}.cache` is shared by pull requests, which can change in it what other builds use",
                hint="make two builds, one with a webhook for pull requests alone; their caches in S3 are kept apart",
            ),
        )
