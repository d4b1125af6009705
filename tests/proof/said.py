"""What `toolkit scan` says of a cell before anything is built, and whether what was seen is what it said."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.proof.cells import Cell
from tests.proof.registries import ECR_HOST
from toolkit.codebuild.coverage import Daemon, Kind, Verdict
from toolkit.operations.scan import ScanOptions, scan

_DOCKER_HUB = "docker.io"
_WORST_FIRST = (Verdict.LEAVES, Verdict.WRONG, Verdict.REFUSED)


@dataclass(frozen=True, slots=True)
class Said:
    """`verdict` is what comes of all uses together; `registries` are where those that leave would go."""

    verdict: Verdict
    registries: frozenset[str]

    def allows(self, seen: Verdict | None, cell: Cell) -> bool:
        """Whether `seen` is what was said.

        A project with `on_miss: fail` has no way to Docker Hub: what would leave ends the build.
        """
        if cell.strategy in cell.case.unseen and seen is Verdict.LEAVES:
            return cell.on_miss == "upstream"
        if seen is Verdict.STAYS:
            return self.verdict is Verdict.STAYS or cell.builder in cell.case.warned
        if self.verdict is not Verdict.LEAVES:
            return seen is self.verdict
        if cell.on_miss == "upstream":
            return seen is Verdict.LEAVES
        return seen is Verdict.REFUSED or (seen is Verdict.LEAVES and self.registries != {_DOCKER_HUB})


def ask_scan(cell: Cell) -> Said:
    """Scan the source of `cell` for its version of Docker."""
    with tempfile.TemporaryDirectory() as folder:
        source, manifest = Path(folder, "source"), Path(folder, "images.yaml")
        for name, text in cell.source().items():
            file = source / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        manifest.write_text(cell.manifest(), encoding="utf-8")
        options = ScanOptions(
            (source,),
            source,
            manifest,
            strategy=cell.strategy,
            on_miss=cell.on_miss,
            daemon=Daemon(cell.docker),
            values={"TOOLKIT_ECR_REGISTRY": ECR_HOST},
            reached_only=True,
        )
        report = scan(options).report
    verdicts = [(use.verdicts[cell.strategy][cell.builder], use.registry or "") for use in report.uses]
    if any(
        use.kind == Kind.SBOM and verdict is Verdict.REFUSED
        for use, (verdict, _) in zip(report.uses, verdicts, strict=True)
    ):
        # BuildKit refuses an option before it asks anybody for an image.
        return Said(Verdict.REFUSED, frozenset())
    worst = next((one for one in _WORST_FIRST if any(verdict is one for verdict, _ in verdicts)), Verdict.STAYS)
    return Said(worst, frozenset(registry for verdict, registry in verdicts if verdict is worst))
