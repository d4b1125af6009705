"""`toolkit render`: write the Terraform that plan and apply would run, or the input of its one module, and stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.options import Format, ManifestFile, OutputFormat

NAME = "render"
HELP = "Write the generated Terraform into a folder. Its modules are written too. Needs no credentials."
EXAMPLES = (
    "toolkit render --out build/terraform && terraform -chdir=build/terraform init",
    "toolkit render --module --out base-images.json",
)


def command(
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="The folder to write, or the file with --module; made if it is not there."),
    ],
    module: Annotated[
        bool, typer.Option("--module", help="Write only the input of the module `base-images`, one JSON file.")
    ] = False,
    file: ManifestFile = Path("images.yaml"),
    format: OutputFormat = Format.TEXT,  # noqa: A002  the option's name
) -> None:
    """Run `toolkit render`."""

    def body(run: Run) -> int:
        from toolkit.cli.render.lines import visible
        from toolkit.operations.load import load_desired
        from toolkit.terraform.root_module import render, render_input
        from toolkit.terraform.work_dir import write, write_input

        desired = load_desired(file)
        if module:
            write_input(render_input(desired), out)
            run.show("module_input", {"file": str(out)}, visible(f"{out}: the input of the module base-images"))
            return 0
        root_module = render(desired)
        work_dir = write(root_module, out)
        names = sorted(root_module.files)
        text = visible(f"{out}: {', '.join(names)}")
        run.show("root_module", {"folder": str(work_dir.path), "files": names}, text)
        return 0

    execute(NAME, Presentation(format, is_brief=True), body)
