"""The result of one command, and its views: JSON, text, Markdown, HTML, and SARIF for a scan.

A view is made of what the JSON document says and of nothing else, so a saved document can be shown later as it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toolkit.cli.options import ScanFormat
from toolkit.cli.render.lines import visible
from toolkit.errors import Issue

if TYPE_CHECKING:
    from toolkit.report import SavedFile

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Other:
    """A result that no view but its text shows, with its JSON-safe document.

    An exact text is for a program: nothing in it is escaped.
    """

    document: Mapping[str, object]
    text: str
    is_exact: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What a command ended with.

    `values` are by kind, in the order in which they were shown: `plan` is a `Plan`, `report` a `Report`, `preview` a
    tuple of `CopyPreview`, `scan` a `ScanReport`, `diagnosis` a tuple of `Finding`, `lock` a `LockChanges`, `prune` a
    `PrunePlan`, `status` a `StatusReport`, `saved_plan` a `SavedFile`; any other is an `Other`. `error` has `code`,
    `message`, `hint` and the `issues` of a manifest.
    """

    command: str
    exit_code: int
    values: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """How a text looks.

    `shows_unchanged`: a plan lists the images that stay, and a status those that are fine. `has_places`: a scan lists
    each use.
    """

    width: int = 100
    colour: bool = False
    shows_unchanged: bool = False
    has_places: bool = False


def render(result: Result, form: str, look: Look) -> str | None:
    """The view of `result` in one text; None if it has nothing of the kind, as a SARIF file of a plan."""
    match form:
        case ScanFormat.JSON:
            return json.dumps(result_document(result), indent=2)
        case ScanFormat.HTML:
            from toolkit.cli.render.html import render_html

            return render_html(result)
        case ScanFormat.SARIF:
            if "scan" not in result.values:
                return None
            from toolkit.cli.render.sarif import sarif_document

            return json.dumps(sarif_document(result.values["scan"]), indent=2)
        case ScanFormat.MARKDOWN:
            # A report holds the plan that it is about, and a comment has room for one of them.
            kinds = [kind for kind in result.values if kind != "plan" or "report" not in result.values]
            parts = [markdown_of(kind, result.values[kind], look) for kind in kinds]
            if result.error:
                from toolkit.cli.render.report_markdown import render_error_markdown

                parts.append(render_error_markdown(result.command, result.error, begins=not any(parts)))
            return "\n\n".join(part.strip("\n") for part in parts if part)
    parts = [text_of(kind, value, look) for kind, value in result.values.items()]
    parts += [error_text(result.error)] if result.error else []
    return "\n".join(part.rstrip("\n") for part in parts)


def result_document(result: Result) -> dict[str, Any]:
    """`result` as JSON-safe values."""
    head = {"schema_version": SCHEMA_VERSION, "command": result.command, "exit_code": result.exit_code}
    failed = {"error": dict(result.error)} if result.error else {}
    return {**head, **failed, **{kind: value_document(kind, value) for kind, value in result.values.items()}}


def value_document(kind: str, value: Any) -> dict[str, Any]:
    """One part of a result as JSON-safe values."""
    if isinstance(value, Other):
        return dict(value.document)
    from toolkit.cli.render.serialise import document_of

    return document_of(kind, value)


def text_of(kind: str, value: Any, look: Look) -> str:
    """One part of a result as text."""
    match kind:
        case "plan":
            from toolkit.cli.render.plan_view import render_plan

            return render_plan(value, width=look.width, colour=look.colour, shows_unchanged=look.shows_unchanged)
        case "report":
            from toolkit.cli.render.report_view import render_report

            return render_report(value, width=look.width, colour=look.colour)
        case "preview":
            from toolkit.cli.render.preview_view import render_previews

            return render_previews(value, width=look.width, colour=look.colour)
        case "scan":
            from toolkit.cli.render.scan_view import render_scan

            return render_scan(value, has_places=look.has_places, width=look.width, colour=look.colour)
        case "diagnosis":
            from toolkit.cli.render.doctor_view import render_diagnosis

            return render_diagnosis(value, width=look.width, colour=look.colour)
        case "status":
            from toolkit.cli.render.status_view import render_status

            return render_status(value, width=look.width, colour=look.colour, shows_unchanged=look.shows_unchanged)
        case "prune":
            from toolkit.cli.render.prune_view import render_prune

            return render_prune(value, width=look.width, colour=look.colour)
        case "lock":
            from toolkit.cli.render.lock_view import render_lock

            return render_lock(value, width=look.width, colour=look.colour)
        case "saved_plan":
            return "\n".join(map(visible, saved_file_lines(value)))
    return str(value.text)


def markdown_of(kind: str, value: Any, look: Look) -> str:
    """One part of a result as Markdown, "" if it has none."""
    match kind:
        case "plan":
            from toolkit.cli.render.plan_markdown import render_plan_markdown

            return render_plan_markdown(value)
        case "report":
            from toolkit.cli.render.report_markdown import render_report_markdown

            return render_report_markdown(value)
        case "scan":
            from toolkit.cli.render.scan_view import render_scan_markdown

            return render_scan_markdown(value, has_places=look.has_places)
        case "preview":
            from toolkit.cli.render.preview_view import render_previews_markdown

            return render_previews_markdown(value)
        case "diagnosis":
            from toolkit.cli.render.doctor_view import render_diagnosis_markdown

            return render_diagnosis_markdown(value)
        case "status":
            from toolkit.cli.render.status_view import render_status_markdown

            return render_status_markdown(value)
        case "prune":
            from toolkit.cli.render.prune_view import render_prune_markdown

            return render_prune_markdown(value)
        case "lock":
            from toolkit.cli.render.lock_view import render_lock_markdown

            return render_lock_markdown(value)
        case "saved_plan":
            return ""
    return f"```text\n{text_of(kind, value, Look())}\n```"


def saved_file_lines(saved: SavedFile) -> tuple[str, str]:
    """What is known about the file of a saved plan."""
    providers = "".join(f", {name.rpartition('/')[2]} provider {one}" for name, one in saved.providers.items())
    signed = "signed by this key" if saved.is_verified else "signed, not checked" if saved.is_signed else "not signed"
    commit = f"commit {saved.commit}" if saved.commit else "no Git commit"
    changed = f" with changes in {', '.join(saved.changed)}" if saved.changed else ""
    return (
        f"{saved.file}: {signed}, of {commit}{changed}",
        f"made by toolkit {saved.toolkit_version}, Terraform {saved.terraform_version}{providers}",
    )


def error_text(error: Mapping[str, Any]) -> str:
    """Why a run failed, for people."""
    lines = [f"error: {visible(error['message'])} [{error['code']}]"]
    lines += [f"  {visible(str(Issue(**issue)))}" for issue in error.get("issues", ())]
    lines += [f"hint: {visible(error['hint'])}"] if error["hint"] else []
    return "\n".join(lines)
