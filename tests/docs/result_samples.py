"""Documents of every result that `--format json` can have, made by the code itself, for the reference and its test."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

import typer
from hypothesis import Phase, given, settings

from tests.support import lock_samples, plan_samples, prune_samples, refresh_samples, status_samples
from tests.support.scanned_project import write_project
from toolkit.cli.app import make_app
from toolkit.cli.render.serialise import document_of
from toolkit.operations.scan import ScanOptions, scan
from toolkit.plan.model import Plan, SeedAction
from toolkit.report import CheckState, CopyPreview, Finding, Report, SeedOutcome, SeedStatus, ShardRun
from toolkit.sandbox.process import SandboxStatus, StartedBuild

_EXAMPLES = Path(__file__).parents[2] / "examples"
_SKOPEO_SYNC = Path(__file__).parents[1] / "unit" / "migration" / "samples" / "skopeo-sync.yml"
_DIGEST = str(plan_samples.digest("a"))


@dataclass(frozen=True)
class Result:
    """A result: which commands have it, as a sentence, and how documents of it are made."""

    text: str
    make: Callable[[], Sequence[Mapping[str, Any]]]

    @cached_property
    def documents(self) -> Sequence[Mapping[str, Any]]:
        """Documents that together have every field and type."""
        return self.make()


def _as_json(document: object) -> dict[str, Any]:
    return dict(json.loads(json.dumps(document, default=str)))


def _plans() -> list[dict[str, Any]]:
    """Plans at random, the same ones each time: every field with every type that it may have."""
    found = [_as_json(document_of("plan", plan_samples.EVERYTHING_NEW))]

    @settings(derandomize=True, database=None, max_examples=20, phases=[Phase.generate], deadline=None)
    @given(plan_samples.plans)
    def collect(plan: Plan) -> None:
        found.append(_as_json(document_of("plan", plan)))

    collect()
    return found


def _reports() -> list[dict[str, Any]]:
    outcome = SeedOutcome(
        "nginx:1.16", SeedStatus.COPIED, "docker.io/library/nginx:1.16", "host/nginx:1.16", digest=_DIGEST
    )
    failed = replace(
        outcome, status=SeedStatus.FAILED, digest=None, error_code="source.missing", error_message="gone", hint="look"
    )
    changes = plan_samples.CHANGED.infra_changes
    return [
        _as_json(
            document_of(
                "report", Report((outcome, failed), 3.0, changes, {"repository_urls": {}}, plan_samples.EVERYTHING_NEW)
            )
        ),
        _as_json(document_of("report", Report((outcome,), 3.0, shard=ShardRun(2, 4, "1f0c8a5e")))),
    ]


def _previews() -> list[dict[str, Any]]:
    found = CopyPreview("docker.io/library/nginx:1.16", "host/nginx:1.16", SeedAction.MOVE, _DIGEST)
    lost = replace(
        found, action=None, current_digest=None, error_code="source.missing", error_message="gone", hint="look"
    )
    return [_as_json(document_of("preview", (found, lost)))]


def _scans() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        project = write_project(Path(name))
        found = [
            scan(ScanOptions((project,), project, None)).report,
            scan(
                ScanOptions((_EXAMPLES / "service",), _EXAMPLES / "service", _EXAMPLES / "service" / "images.yaml")
            ).report,
        ]
    built = replace(found[0], build="web", uses=tuple(replace(use, built_by="make.sh:1") for use in found[0].uses))
    return [_as_json(document_of("scan", report)) for report in (*found, built)]


def _run(*arguments: str) -> dict[str, Any]:
    """The JSON of a command that needs neither network nor credentials, in a copy of the quickstart."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in ("images.yaml", "Dockerfile"):
            (folder / path).write_bytes((_EXAMPLES / "quickstart" / path).read_bytes())
        (folder / "buildspec.yml").write_text("version: 0.2\nphases:\n  build:\n    commands: [make]\n")
        with chdir(folder), redirect_stdout(StringIO()) as stdout, redirect_stderr(StringIO()) as stderr:
            code = typer.main.get_command(make_app(arguments[:1])).main([*arguments, "--format", "json"])
    assert code == 0, stderr.getvalue()
    return dict(json.loads(stdout.getvalue()))


def _migrations() -> list[dict[str, Any]]:
    """What was carried over from a file, and from ECR, where nothing has a line."""
    found = _run("init", "--manifest", "new.yaml", "--from-skopeo-sync", str(_SKOPEO_SYNC))["manifest"]
    return [found, {**found, "remarks": [{**found["remarks"][0], "line": None}]}]


def _sandboxes() -> list[dict[str, Any]]:
    up = SandboxStatus(
        Path("sandbox"), 1, "123456789012", "eu-west-1", *["http://127.0.0.1:1"] * 4,
        images={"docker_hub": ("library/nginx:1.16",), "upstream": ("library/nginx:1.16",), "ecr": ("library/nginx:1.16",)},
        builds=(StartedBuild("web:1", "FAULT", "rule/web", "…"),), notices=("…",),
    )  # fmt: skip
    return [_as_json(asdict(up)), {"was_running": True}]


_FINDING = Finding("registry", CheckState.OK, "gives `nginx:1.16`", subject="docker.io")
_LOCK = {"file": "images.lock.hcl", "version": "5.100.0", "platforms": ["linux_amd64"], "missing": ["darwin_arm64"]}
_SAVED = {
    "file": "plan.toolkit",
    "toolkit_version": "0.1.0",
    "terraform_version": "1.11.4",
    "providers": {},
    "is_signed": True,
    "is_verified": True,
}


RESULTS: Mapping[str, Result] = {
    "plan": Result("`plan`, `show`, `apply`, `destroy`, `seed`: what would be done, or was.", _plans),
    "report": Result("`apply`, `seed`, `copy`, `report`: what was done, read back from where it was done.", _reports),
    "preview": Result("`copy --dry-run`: what would be copied.", _previews),
    "scan": Result("`scan`: every image of the files, and what comes of it.", _scans),
    "diagnosis": Result(
        "`doctor`: each check. `state` is `ok`, `warning`, `failed` or `skipped`; `code` is the error of a run.",
        lambda: [
            document_of(
                "diagnosis",
                (_FINDING, replace(_FINDING, state=CheckState.FAILED, cure="look", code="aws.no_credentials")),
            )
        ],
    ),
    "lock": Result(
        "`lock`: what became of each entry of the lock. `action` is `admitted`, `begun`, `removed`, `seen` or `nothing`.",
        lambda: [document_of("lock", lock_samples.CHANGES)],
    ),
    "prune": Result(
        "`prune`: what goes from the repositories of the manifest, or went. `why` is `tag`, `keeper`, `superseded`, "
        "`orphan`, `part` or `attached`, and `fate` is `planned`, `deleted`, `left` or `failed`.",
        lambda: [_as_json(document_of("prune", plan)) for plan in (prune_samples.PLANNED, prune_samples.DONE)],
    ),
    "refresh": Result(
        "`refresh`: what it came to. `error` of a move is why nobody was told of it. `behind`, `gone`, `unreached` and "
        "`unverified` are null if the run did not come that far.",
        lambda: [document_of("refresh", one) for one in (refresh_samples.BUSY, refresh_samples.STOPPED)],
    ),
    "status": Result(
        "`status`: the state of every image. `state` is `overwritten`, `missing`, `gone`, `unknown`, `held`, "
        "`suspended`, `behind`, `cooling`, `pinned` or `fine`.",
        lambda: [
            document_of("status", status_samples.REPORT),
            document_of("status", replace(status_samples.REPORT, lock=None, drift=None, faults=None)),
        ],
    ),
    "manifest": Result(
        "`validate`: what is in the manifest. `init`: what was written.",
        lambda: [
            _run("validate")["manifest"],
            {**_run("init", "--manifest", "new.yaml", ".")["manifest"], "left_out": ["…"]},
            *_migrations(),
        ],
    ),
    "example": Result(
        "`init --example`: the files that were written.", lambda: [{"name": "quickstart", "files": ["…"]}]
    ),
    "buildspec": Result(
        "`buildspec`: the text, or what became of the file.",
        lambda: [
            _run("buildspec", "web")["buildspec"],
            _run("buildspec", "web", "--into", "buildspec.yml")["buildspec"],
        ],
    ),
    "root_module": Result(
        "`render`: the Terraform that was written.", lambda: [_run("render", "--out", "out")["root_module"]]
    ),
    "module_input": Result(
        "`render --module`: the file that was written.",
        lambda: [_run("render", "--module", "--out", "out.json")["module_input"]],
    ),
    "provider_lock": Result(
        "`lock-provider`: what is locked now, and what was before.",
        lambda: [{**_LOCK, "before": None}, {**_LOCK, "before": "5.99.0"}],
    ),
    "saved_plan": Result(
        "`show`: the file around the plan. `is_verified`: the signature was checked with `TOOLKIT_PLAN_KEY`.",
        lambda: [
            {**_SAVED, "commit": None, "changed": [], "is_clean": None},
            {**_SAVED, "commit": "1f0c8a5e", "changed": [], "is_clean": True},
        ],
    ),
    "explanation": Result(
        "`explain`: what a code or an exit code means; without one, all `codes` and `exit_codes`.",
        lambda: [_run("explain", *words)["explanation"] for words in ((), ("plan.stale",), ("7",))],
    ),
    "sandbox": Result("`sandbox up` and `status`; `was_running` is that of `sandbox down`.", _sandboxes),
}
"""Every result by its name."""
