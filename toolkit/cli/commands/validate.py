"""`toolkit validate`: read the manifest, say everything that is wrong with it, change nothing."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.options import Format, ManifestFile, OutputFormat, Strict

NAME = "validate"
HELP = "Check the manifest and report every problem. Needs no network and no credentials."
EXAMPLES = (
    "toolkit validate",
    "toolkit validate -f infra/images.yaml --format json",
    "toolkit validate --strict   # exit 7 for a secret in plain text, wide rights and the like",
)


def command(
    file: ManifestFile = Path("images.yaml"),
    strict: Strict = False,
    format: OutputFormat = Format.TEXT,  # noqa: A002  the option's name
) -> None:
    """Run `toolkit validate`."""

    def body(run: Run) -> int:
        from toolkit.cli.render.amounts import format_count
        from toolkit.cli.render.lines import visible
        from toolkit.operations.guards import refuse_risks
        from toolkit.operations.load import load_desired

        desired = load_desired(file)
        counts = {
            "repositories": len(desired.repositories),
            "images": len(desired.images),
            "selections": len(desired.selections),
            "builds": len(desired.builds),
        }
        found = ", ".join(
            (
                format_count(counts["repositories"], "repository", "repositories"),
                format_count(counts["images"], "image"),
                *([format_count(counts["selections"], "tag selection")] if desired.selections else []),
                format_count(counts["builds"], "build"),
            )
        )
        lines = [f"{visible(str(file))} is valid: {found}"]
        for risk in desired.risks:
            lines += [f"notice: {visible(risk.message)} [{risk.code}]", f"  hint: {visible(risk.hint or '')}"]
        document = {"file": str(file), "name": desired.name, **counts, "notices": [asdict(r) for r in desired.risks]}
        run.show("manifest", document, "\n".join(lines))
        if strict:
            refuse_risks(desired.risks)
        return 0

    execute(NAME, Presentation(format, is_brief=True, manifest=file), body)
