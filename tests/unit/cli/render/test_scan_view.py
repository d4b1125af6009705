"""A scan in each of its formats."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.golden import assert_golden
from tests.support.scanned_project import write_project
from toolkit.cli.render.sarif import sarif_document
from toolkit.cli.render.scan_view import render_scan, render_scan_markdown
from toolkit.cli.render.serialise import document_of
from toolkit.codebuild.scan_report import ScanReport
from toolkit.operations.scan import ScanOptions, scan


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScanReport:
    monkeypatch.chdir(write_project(tmp_path))
    return scan(ScanOptions(paths=(Path(),), home=tmp_path, manifest=Path("images.yaml"))).report


def test_text(report: ScanReport) -> None:
    assert_golden("scan/scan.txt", render_scan(report) + "\n")


def test_markdown(report: ScanReport) -> None:
    assert_golden("scan/scan.md", render_scan_markdown(report))


def test_json(report: ScanReport) -> None:
    few = replace(report, uses=tuple(use for use in report.uses if use.file in ("compose.yaml", "web/Dockerfile"))[:5])
    assert_golden("scan/scan.json", json.dumps(document_of("scan", few), indent=1) + "\n")


def test_sarif(report: ScanReport) -> None:
    document: Any = sarif_document(report)
    document["runs"][0]["tool"]["driver"]["semanticVersion"] = "0.0.0"
    assert_golden("scan/scan.sarif", json.dumps(document, indent=1) + "\n")


def test_every_sarif_result_has_a_rule_a_level_and_a_line_of_a_relative_file(report: ScanReport) -> None:
    document: Any = sarif_document(report)
    [run] = document["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert document["version"] == "2.1.0"
    assert run["results"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        [location] = result["locations"]
        place = location["physicalLocation"]
        assert not place["artifactLocation"]["uri"].startswith("/")
        assert place["artifactLocation"]["uriBaseId"] in run["originalUriBaseIds"]
        assert place["region"]["startLine"] >= 1


def test_a_file_elsewhere_has_an_address_of_its_own(tmp_path: Path) -> None:
    write_project(tmp_path / "else where", {"Dockerfile": "FROM a\n"})
    document: Any = sarif_document(scan(ScanOptions((tmp_path / "else where",), home=tmp_path / "home")).report)
    [result] = document["runs"][0]["results"]
    address = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert address == {"uri": (tmp_path / "else where" / "Dockerfile").as_uri()}


def test_a_line_that_cannot_be_shown_is_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_project(tmp_path, {"Dockerfile": "FROM a|\x1b[31m<b>\n"}))
    report = scan(ScanOptions(paths=(Path(),), home=tmp_path)).report
    assert "\x1b" not in render_scan(report)
    assert "a&#124;\\\\x1b\\[31m&lt;b" in render_scan_markdown(report)


def test_each_image_is_one_line_with_the_count_of_its_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"{name}/Dockerfile": "FROM alpine:3\n" for name in "abc"}
    files["compose.yaml"] = "services: {x: {build: {context: x}, image: web}, y: {image: web}}\n"
    files["x/Dockerfile"] = "FROM alpine:3\n"
    monkeypatch.chdir(write_project(tmp_path, files))
    report = scan(ScanOptions(paths=(Path(),), home=tmp_path)).report
    text = render_scan(report)
    assert "   4 places  alpine:3  (from, linux/amd64)  a/Dockerfile:1 and 3 more\n" in text
    assert text.count("the manifest mirrors nothing of this registry") == 1
    assert "stays    built by compose.yaml\n    1 place  web  (compose_image)  compose.yaml:1\n" in text
    assert render_scan(report, has_places=True).count("alpine:3  (from") == 4
    assert "`a/Dockerfile:1` and 3 more | `alpine:3`" in render_scan_markdown(report)
    assert all(
        f"`{name}/Dockerfile:1` | `alpine:3`" in render_scan_markdown(report, has_places=True) for name in "abcx"
    )
    assert len(document_of("scan", report)["images"]) == 5


def test_a_message_of_many_places_is_shown_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_project(tmp_path, {f"{name}/Dockerfile.j2": "x\n" for name in "abc"}))
    text = render_scan(scan(ScanOptions(paths=(Path(),), home=tmp_path)).report)
    assert text.count("looks like a Dockerfile") == 1
    assert "a/Dockerfile.j2:1: it looks like" in text
    assert "(and in 2 more places)" in " ".join(text.split())
