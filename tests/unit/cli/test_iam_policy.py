"""`toolkit iam-policy` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from toolkit.cli.app import make_app

MANIFEST = """\
version: 1
name: shop
aws: {region: cn-north-1, account_id: "123456789012"}
images: [nginx:1.16]
builds:
  - name: web
    source: {type: GITHUB, location: "https://github.com/acme/web.git"}
    images: [nginx:1.16]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images.yaml").write_text(MANIFEST)
    return tmp_path


def run(*arguments: str) -> int:
    command = typer.main.get_command(make_app(["iam-policy", "schema"]))
    return int(command.main(["iam-policy", *arguments]))


@pytest.mark.parametrize(
    "arguments", [("plan",), ("apply",), ("seed",), ("lock",), ("prune",), ("build", "web"), ("build", "shop-web")]
)
def test_prints_one_document_with_the_names_of_the_region_s_partition(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 0
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert document["Version"] == "2012-10-17"
    assert "arn:aws-cn:ecr:cn-north-1:123456789012:repository/docker-hub/library/nginx" in shown.out
    assert "arn:aws:" not in shown.out
    assert shown.err == ""


def test_prints_whom_the_role_trusts(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("apply", "--trust", "github", "acme/web", "refs/heads/main") == 0
    [statement] = json.loads(capsys.readouterr().out)["Statement"]
    assert statement["Condition"]["StringEquals"]["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com.cn"


def test_says_that_a_scan_needs_no_role(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("scan") == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "needs no role" in shown.err


def test_says_that_one_policy_is_too_small(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = ", ".join(f"team-{number}/app:1" for number in range(100))
    (folder / "images.yaml").write_text(
        MANIFEST.replace("images: [nginx:1.16]\nbuilds", f"images: [{images}, nginx:1.16]\nbuilds")
    )
    assert run("apply") == 0
    shown = capsys.readouterr()
    assert len(json.loads(shown.out)) > 1
    assert "policies" in shown.err
    assert run("apply", "--format", "terraform") == 0
    assert 'resource "aws_iam_policy" "shop-apply-2"' in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ("build",),
        ("build", "api"),
        ("plan", "web"),
        ("delete",),
        ("plan", "--trust", "github", "acme/*", "pull_request"),
        ("apply", "--trust", "gitlab", "acme/web", "*"),
    ],
)
def test_refuses_a_wrong_command_line(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 64
    assert capsys.readouterr().out == ""
