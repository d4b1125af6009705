"""A scan as SARIF 2.1.0, which code hosts show beside the lines of a pull request."""

from __future__ import annotations

from urllib.parse import quote

from toolkit import __version__
from toolkit.cli.render.scan_view import reason_of, word_of
from toolkit.codebuild.scan_report import ScannedUse, ScanReport, ScanTrouble

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

_RULES = {
    "image-leaves": "An image is fetched from its upstream instead of ECR.",
    "image-wrong-platform": "An image of another platform than the one that was asked for is used.",
    "image-refused": "The build fails, because the image cannot be had.",
    "image-unknown": "Which image is fetched cannot be known.",
    "image-unreached": "A stage that no build of these files needs names an image that would not be fetched from ECR.",
    "build-fault": "The file cannot be built, or what it fetches cannot be seen.",
    "not-read": "Something that may fetch images is not read.",
}
_RULE_OF = {
    "leaves": "image-leaves",
    "wrong": "image-wrong-platform",
    "refused": "image-refused",
    "unknown": "image-unknown",
    "unreached": "image-unreached",
}


def sarif_document(report: ScanReport) -> dict[str, object]:
    """The findings of `report`; an image that comes from ECR is none."""
    findings = [*map(_of_use, report.lost), *map(_of_trouble, report.troubles)]
    results = [_result(*finding) for finding in dict.fromkeys(findings)]  # one for all platforms of a build
    rules = [{"id": name, "shortDescription": {"text": text}} for name, text in _RULES.items()]
    driver = {"name": "base-image-toolkit", "semanticVersion": __version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "utf16CodeUnits",
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "Where `toolkit scan` was run."}}},
        "results": results,
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


_Finding = tuple[str, str, str, str, int]


def _of_use(use: ScannedUse) -> _Finding:
    name = use.reference or use.written
    text = f"`{name}` ({use.kind.value}): {reason_of(use)}"
    text += f"; {use.remedy}" if use.remedy else ""
    return _RULE_OF[word_of(use)], "error", f"{text}.", use.file, use.line


def _of_trouble(trouble: ScanTrouble) -> _Finding:
    rule, level = ("build-fault", "error") if trouble.is_fault else ("not-read", "note")
    return rule, level, f"{trouble.message}.", trouble.file, trouble.line


def _result(rule: str, level: str, text: str, file: str, line: int) -> dict[str, object]:
    is_absolute = file.startswith("/")
    artifact = {"uri": f"file://{quote(file)}"} if is_absolute else {"uri": quote(file), "uriBaseId": "SRCROOT"}
    location = {"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": line}}}
    return {
        "ruleId": rule,
        "ruleIndex": list(_RULES).index(rule),
        "level": level,
        "message": {"text": text},
        "locations": [location],
    }
