"""`toolkit lock-provider`: write which AWS provider is used, for every machine that plans and applies."""

from __future__ import annotations

from pathlib import Path

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.options import Format, Log, LogFormat, ManifestFile, NoProgress, OutputFormat, TerraformBinary

NAME = "lock-provider"
HELP = (
    "Choose the AWS provider for every plan and apply. Writes the lock file beside the manifest: the newest "
    "provider that the manifest allows, with checksums for Linux (x86_64, arm64) and macOS. Needs no credentials."
)
EXAMPLES = ("toolkit lock-provider && git add images.lock.hcl",)


def command(
    file: ManifestFile = Path("images.yaml"),
    format: OutputFormat = Format.TEXT,  # noqa: A002  the option's name
    terraform_bin: TerraformBinary = "terraform",
    log: Log = LogFormat.TEXT,
    no_progress: NoProgress = False,
) -> None:
    """Run `toolkit lock-provider`."""

    def body(run: Run) -> int:
        from toolkit.cli.render.lines import visible
        from toolkit.cli.wiring import Settings, open_terraform
        from toolkit.operations.load import load_desired
        from toolkit.operations.lock_provider import lock_provider
        from toolkit.terraform.provider_lock import lock_file_of

        desired = load_desired(file)
        runner = open_terraform(run.emit, desired, Settings(terraform_bin=terraform_bin))
        made = lock_provider(desired, runner, lock_file_of(file))
        text = f"{made.path}: AWS provider {made.version}"
        if made.before not in (None, made.version):
            text += f", before {made.before}"
        text += f"; checksums for {', '.join(made.platforms)}"
        if made.missing:
            text += f", not for {', '.join(made.missing)}: the mirror does not have it for them"
        document = {
            "file": str(made.path),
            "version": made.version,
            "before": made.before,
            "platforms": list(made.platforms),
            "missing": list(made.missing),
        }
        run.show("provider_lock", document, visible(text))
        return 0

    execute(NAME, Presentation(format, no_progress, log=log), body)
