"""`toolkit validate`: read the manifest, say everything that is wrong with it, change nothing."""

from __future__ import annotations

from pathlib import Path

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.options import Format, ManifestFile, OutputFormat

NAME = "validate"
HELP = "Check the manifest and report every problem. Needs no network and no credentials."
EXAMPLES = (
    "toolkit validate",
    "toolkit validate -f infra/images.yaml --format json",
)


def command(file: ManifestFile = Path("images.yaml"), format: OutputFormat = Format.TEXT) -> None:  # noqa: A002  the option's name
    """Run `toolkit validate`."""

    def body(run: Run) -> int:
        from toolkit.cli.render.amounts import format_count
        from toolkit.cli.render.lines import visible
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
        run.show(
            "manifest", {"file": str(file), "name": desired.name, **counts}, f"{visible(str(file))} is valid: {found}"
        )
        return 0

    execute(NAME, Presentation(format, is_brief=True), body)
