"""`toolkit render`: write the root module that plan and apply would run, and stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.options import Format, ManifestFile, OutputFormat

NAME = "render"
HELP = "Write the generated Terraform with its modules into a folder, and stop. Needs no credentials."
EXAMPLES = "Example:  toolkit render --out build/terraform && terraform -chdir=build/terraform init"


def command(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write; made if it is not there.")],
    file: ManifestFile = Path("images.yaml"),
    format: OutputFormat = Format.TEXT,  # noqa: A002  the option's name
) -> None:
    """Run `toolkit render`."""

    def body(run: Run) -> int:
        from toolkit.cli.render.lines import visible
        from toolkit.operations.load import load_desired
        from toolkit.terraform.root_module import render
        from toolkit.terraform.work_dir import write

        root_module = render(load_desired(file))
        work_dir = write(root_module, out)
        names = sorted(root_module.files)
        text = visible(f"{out}: {', '.join(names)}")
        run.show("root_module", {"folder": str(work_dir.path), "files": names}, text)
        return 0

    execute(NAME, Presentation(format, is_brief=True), body)
