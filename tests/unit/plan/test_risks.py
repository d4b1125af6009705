from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from toolkit.manifest.loader import loads
from toolkit.plan.model import Notice
from toolkit.plan.risks import find_risks, secret_in

TODAY = date(2026, 11, 30)
HEAD = "version: 1\nname: acme\naws: {region: eu-west-1}\nimages: [nginx:1.16]\n"


def _found(build: str = "", rest: str = "") -> list[Notice]:
    source = "source: {type: GITHUB, location: 'https://github.com/acme/web.git'}"
    builds = f"builds:\n  - {{name: web, {source}, images: [nginx:1.16], {build}}}\n" if build else ""
    return list(find_risks(loads(HEAD + builds + rest, "images.yaml"), TODAY))


def _codes(build: str, rest: str = "") -> list[str]:
    return [notice.code for notice in _found(build, rest)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", "hunter2"),
        ("PGPASSWORD", "zq"),
        ("dbPassword", "correct horse"),
        ("MYSQL_PWD", "x1"),
        ("SMTP_PASS", "x1"),
        ("S3_SECRET_ACCESS_KEY_2", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        ("NPM_TOKEN", "0a1b2c3d4e5f"),
        ("CLIENT_SECRET", "Zx81-kQ9+ab"),
        ("STRIPE_APIKEY", "4eC39HqLyjWD"),
        ("ANY", "AKIA" + "ABCDEFGHIJKLMNOP"),
        ("ANY", "ghp_" + "a1B2" * 9),
        ("ANY", "github_pat_" + "a1B2_" * 8),
        ("ANY", "glpat-" + "a1B2" * 5),
        ("ANY", "dckr_pat_" + "a1B2" * 5),
        ("ANY", "xoxb-" + "1234567890-abc"),
        ("ANY", "sk_live_" + "a1B2" * 6),
        ("ANY", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"),
        ("ANY", "-----BEGIN RSA PRIVATE KEY-----\nMIIE"),
        ("DATABASE_URL", "postgres://web:hunter2@db.acme.example/web"),
        ("DOCKER_AUTH_CONFIG", '{"auths": {"docker.io": {"auth": "d2ViOmh1bnRlcjI="}}}'),
        ("SETTINGS", '{"db_password": "hunter2"}'),
    ],
)
def test_a_secret_in_plain_text_is_named_and_never_shown(name: str, value: str) -> None:
    [notice] = _found(f"environment_variables: {{{name}: {json.dumps(value)}}}")
    assert notice.code == "risk.plain_secret"
    assert notice.message.startswith(f"`builds.web.environment_variables.{name}` has what looks like ")
    assert value not in str(notice)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", ""),
        ("DB_PASSWORD", "$FROM_ELSEWHERE"),
        ("DB_PASSWORD", "{{resolve:secretsmanager:web}}"),
        ("DB_PASSWORD", "/run/secrets/db"),
        ("DB_PASSWORD_FILE", "run/secrets/db"),
        ("DB_PASSWORD_PARAMETER", "web-db"),
        ("PASSWORD_MIN_LENGTH", "12"),
        ("USE_TOKEN", "true"),
        ("TOKEN", "disabled"),
        ("DB_SECRET", "prod/db-1"),
        ("APP_SECRET", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:web-AbCdEf"),
        ("TOKEN_URL", "https://auth.docker.io/token"),
        ("AUTH_TOKEN", "https://auth.example.com/v1"),
        ("SSH_PUBLIC_KEY", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA"),
        ("STRIPE_PUBLISHABLE_API_KEY", "a1b2c3d4e5"),
        ("CACHE_KEY", "v1-2024-a1b2c3d4"),
        ("GIT_COMMIT", "8f14e45fceea167a5a36dedd4bea2543a1b2c3d4"),
        ("BASE", "nginx@sha256:0d17b565c37bcbd895e9d92315a05c1c3c9a29f762b011a10c54a66cd53c9b31"),
        ("DATABASE_URL", "postgres://web:$DB_PASSWORD@db/web"),
        ("REPOSITORY", "git@github.com:acme/web.git"),
        ("PWD", "src"),
        ("COMPASS", "north1"),
        ("MONKEY", "a1b2c3d4e5f6"),
    ],
)
def test_a_name_a_reference_or_a_switch_is_no_secret(name: str, value: str) -> None:
    assert secret_in(value, name) is None


@pytest.mark.parametrize(
    ("command", "is_named"),
    [
        ("docker login --username web --password hunter2 && docker build .", True),
        ("export DB_PASSWORD=hunter2; docker build .", True),
        ("docker build --build-arg NPM_TOKEN=0a1b2c3d4e5f .", True),
        ("curl -H 'Authorization: token ghp_" + "a1B2" * 9 + "'; docker build .", True),
        ("docker login --username web --password-stdin && docker build .", False),
        ('docker login --password "$TOKEN" && docker build --build-arg NPM_TOKEN=$NPM_TOKEN .', False),
    ],
)
def test_a_secret_in_a_command_is_named(command: str, is_named: bool) -> None:
    notices = _found(f"commands: [{json.dumps(command)}]")
    assert [notice.code for notice in notices] == ["risk.plain_secret"] * is_named
    assert "hunter2" not in str(notices)


@pytest.mark.parametrize(
    ("statement", "is_wide"),
    [
        ("actions: [iam:PassRole], resources: ['*']", True),
        ("actions: [sts:AssumeRole], resources: ['arn:aws:iam::123456789012:role/*']", True),
        ("actions: ['iam:Pass*'], resources: ['arn:aws:iam::*:role/*']", True),
        ("actions: ['iam:*'], resources: ['*']", True),
        ("actions: ['s3:*'], resources: ['*']", True),
        ("actions: [iam:PutRolePolicy], resources: ['*']", True),
        ("actions: [secretsmanager:GetSecretValue], resources: ['*']", True),
        ("actions: ['ssm:Get*'], resources: ['arn:aws:ssm:eu-west-1:123456789012:parameter/*']", True),
        ("effect: Deny, actions: ['s3:*'], resources: ['*']", False),
        ("actions: [sts:AssumeRole], resources: ['arn:aws:iam::123456789012:role/deploy']", False),
        ("actions: ['s3:*'], resources: ['arn:aws:s3:::acme-site/*']", False),
        ("actions: ['ec2:Describe*', ecr:GetAuthorizationToken], resources: ['*']", False),
    ],
)
def test_rights_without_bounds_are_named(statement: str, is_wide: bool) -> None:
    assert _codes(f"policy_statements: [{{{statement}}}]") == ["risk.wide_rights"] * is_wide


def test_every_action_on_a_repository_is_named() -> None:
    policy = "{principals: {aws: ['210987654321']}, actions: ['ecr:*']}"
    [notice] = _found(rest=f"repositories: {{policy_statements: [{policy}]}}\n")
    assert notice.code == "risk.wide_rights"
    assert "`repositories.policy_statements[0]`" in notice.message


@pytest.mark.parametrize(
    ("build", "is_needless"),
    [
        ("commands: [echo hello, 'aws s3 sync . s3://acme-site']", True),
        ("commands: [docker build .]", False),
        ("commands: [make image]", False),
        ("commands: [./ci/build.sh]", False),
        ("buildspec: ci/buildspec.yml", False),
        ("environment_type: LINUX_EC2, commands: [echo hello]", False),
        ("dockerfiles: [Dockerfile]", False),
    ],
)
def test_privileges_that_nothing_uses_are_named(build: str, is_needless: bool) -> None:
    assert _codes(build) == ["risk.needless_privileges"] * is_needless


PULLS = "{type: EVENT, pattern: PULL_REQUEST_UPDATED}"
PUSHES = "{type: EVENT, pattern: PUSH}"
OURS = "{type: ACTOR_ACCOUNT_ID, pattern: ^1234567$}"
IN_S3 = "cache: {location: acme-cache/web, paths: [.m2]}"
ON_MACHINE = "cache: {modes: [LOCAL_SOURCE_CACHE]}"


@pytest.mark.parametrize(
    ("build", "is_shared"),
    [
        (f"{IN_S3}, webhook: {{filter_groups: [[{PULLS}, {OURS}], [{PUSHES}]]}}", True),
        (f"{IN_S3}, webhook: {{allow_forks: true}}", True),
        (f"{ON_MACHINE}, webhook: {{allow_forks: true}}", True),
        (f"{ON_MACHINE}, webhook: {{filter_groups: [[{PULLS}, {OURS}], [{PUSHES}]]}}", False),
        (f"{IN_S3}, webhook: {{filter_groups: [[{PULLS}, {OURS}]]}}", False),
        (f"{IN_S3}, webhook: {{filter_groups: [[{PUSHES}]]}}", False),
        (IN_S3, False),
    ],
)
def test_a_cache_that_pull_requests_share_is_named(build: str, is_shared: bool) -> None:
    assert _codes(build) == ["risk.shared_cache"] * is_shared


WIDE = "policy_statements: [{actions: [iam:PassRole], resources: ['*']}]"


def _ignore(code: str = "risk.wide_rights", at: str = "builds.web", until: str = "2026-11-30") -> str:
    return f'ignore: [{{code: {code}, at: "{at}", reason: agreed, until: "{until}"}}]\n'


@pytest.mark.parametrize(
    ("entry", "codes"),
    [
        (_ignore(), []),
        (_ignore(at="builds.web.policy_statements[0]"), []),
        (_ignore(until="2026-11-29"), ["risk.wide_rights", "ignore.expired"]),
        (_ignore(at="builds.web.policy_statements[1]"), ["risk.wide_rights", "ignore.unused"]),
        (_ignore(at="builds.we"), ["risk.wide_rights", "ignore.unused"]),
        (_ignore(code="risk.plain_secret"), ["risk.wide_rights", "ignore.unused"]),
    ],
)
def test_a_risk_is_ignored_where_and_as_long_as_somebody_said(entry: str, codes: list[str]) -> None:
    assert _codes(WIDE, entry) == codes


@pytest.mark.parametrize("file", sorted(Path("examples").rglob("images.yaml")), ids=lambda file: file.parent.name)
def test_the_examples_have_no_risk(file: Path) -> None:
    assert find_risks(loads(file.read_text(), str(file)), TODAY) == ()
