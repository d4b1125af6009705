"""`toolkit scan`: what builds would fetch, and whether the manifest keeps it home."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.completion import builds
from toolkit.cli.options import Outputs, Places, ScanFormat, ScanViewFormat
from toolkit.errors import UsageError
from toolkit.manifest.strategy import OnMiss, Strategy

if TYPE_CHECKING:
    from toolkit.codebuild.scan_report import ScanReport

NAME = "scan"
HELP = (
    "Say which images builds fetch from elsewhere. Reads Dockerfiles, compose and bake files and buildspecs, and says "
    "of every image whether it would come from ECR. Needs no network and no credentials. Folders are read whole, "
    "except .git, node_modules, vendor and virtual environments; Git's ignore rules are not read."
)
EXAMPLES = (
    "toolkit scan .",
    "toolkit scan --check --format sarif . > scan.sarif",
    "toolkit scan --build-arg VERSION=1.27 web/Dockerfile",
    "toolkit scan --write .",
    "toolkit scan --check --build web .",
    "toolkit scan --check --strict .",
    "toolkit scan --places .",
)


_DEFAULT_MANIFEST = Path("images.yaml")

Paths = Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files and folders.")]
BuildArguments = Annotated[
    list[str] | None,
    typer.Option("--build-arg", metavar="NAME=VALUE", help="Value of a variable, in every file; may be repeated."),
]
Roots = Annotated[
    list[Path] | None,
    typer.Option(
        "--root",
        metavar="DIR",
        help="Folder below which named files may be read too; may be repeated. [default: the checkout of PATH alone]",
    ),
]


def command(
    paths: Paths,
    manifest: Annotated[
        Path | None,
        typer.Option(
            "--manifest",
            "--file",
            "-f",
            help="The manifest that has to mirror it. [default: images.yaml, if it is there]",
        ),
    ] = None,
    build: Annotated[
        str | None,
        typer.Option(
            "--build",
            metavar="NAME",
            autocompletion=builds,
            help="The build of the manifest that reads these files: its `images` have to list it, and its strategy, "
            "on_miss and machine count.",
        ),
    ] = None,
    strategy: Annotated[
        Strategy | None,
        typer.Option(
            "--strategy", help="How base images get from ECR into the builds. [default: that of --build, else auto]"
        ),
    ] = None,
    on_miss: Annotated[
        OnMiss | None,
        typer.Option(
            "--on-miss",
            metavar="fail|upstream",
            help="What a base image that is not mirrored does to the builds. [default: that of --build, else fail]",
        ),
    ] = None,
    build_arg: BuildArguments = None,
    machine: Annotated[
        str | None,
        typer.Option(
            "--machine",
            metavar="PLATFORM",
            help="Platform of the machine that builds, such as linux/arm64. "
            "[default: that of --build, else linux/amd64]",
        ),
    ] = None,
    docker: Annotated[str, typer.Option("--docker", metavar="VERSION", help="The Docker that builds.")] = "28.5.2",
    root: Roots = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 7 unless every build stays home and every file is understood.")
    ] = False,
    reached_only: Annotated[
        bool,
        typer.Option(
            "--reached-only",
            help="Leave out stages that no build needs, of Dockerfiles that some build reads.",
        ),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Count commands whose own commands are not read, such as make, as faults."),
    ] = False,
    places: Places = False,
    write: Annotated[
        bool, typer.Option("--write", help="Add what is missing to the manifest's own `images`, and scan again.")
    ] = False,
    format: ScanViewFormat = ScanFormat.TEXT,  # noqa: A002  the option's name
    output: Outputs = None,
) -> None:
    """Run `toolkit scan`."""

    def body(run: Run) -> int:
        from toolkit.codebuild.coverage import Daemon
        from toolkit.operations.scan import ScanOptions, scan, write_additions

        usual = manifest or _DEFAULT_MANIFEST
        options = ScanOptions(
            paths=tuple(paths),
            home=Path.cwd(),
            manifest=usual if manifest or write or usual.exists() else None,
            build=build,
            strategy=strategy,
            on_miss=on_miss,
            values=read_pairs(build_arg or []),
            machine=machine and read_platform(machine),
            daemon=Daemon(read_version(docker)),
            roots=tuple(root or []),
            reached_only=reached_only,
            is_strict=strict,
        )
        found = scan(options)
        if write and found.additions:
            write_additions(usual, found.additions)
            found = scan(options)
        run.show_scan(found.report)
        if check and not found.report.is_clean:
            raise _refusal(found.report)
        return 0

    files = (manifest or _DEFAULT_MANIFEST, *paths)
    presentation = Presentation(format, is_brief=True, has_places=places, outputs=output or (), files=files)
    execute(NAME, presentation, body)


def read_pairs(texts: list[str]) -> dict[str, str]:
    """`NAME=VALUE` as pairs. Raises UsageError with all that are none."""
    wrong = [text for text in texts if not text.partition("=")[0] or "=" not in text]
    if wrong:
        named = ", ".join(f"`{text}`" for text in wrong)
        raise UsageError("usage.build_arg", f"--build-arg takes NAME=VALUE, not {named}")
    return dict(text.split("=", 1) for text in texts)


def read_platform(text: str) -> str:
    """`text`, when it is a platform. Raises UsageError."""
    from toolkit.oci.descriptor import Platform
    from toolkit.oci.errors import OciError

    try:
        return str(Platform.parse(text))
    except OciError as error:
        raise UsageError("usage.value", f"--machine: {error.message}", hint=error.hint) from error


def read_version(text: str) -> str:
    """`text`, when it is the version of a Docker. Raises UsageError."""
    import re

    if not re.fullmatch(r"\d+(\.\d+){0,2}([-+~][\w.+~-]+)?", text):
        raise UsageError("usage.value", f"--docker: `{text}` is no version, such as `28.5.2`")
    return text


def _refusal(report: ScanReport) -> Exception:
    from toolkit.cli.render.amounts import format_count
    from toolkit.cli.render.scan_view import word_of
    from toolkit.errors import Refused

    leaving = [f"{host} ({format_count(count, 'use')})" for host, count in sorted(report.upstreams.items())]
    words = [word_of(use) for use in report.lost]
    others = sum(word not in ("leaves", "unreached") for word in words)
    unreached = words.count("unreached")
    parts = [f"builds would still reach {', '.join(leaving)}"] if leaving else []
    parts += [f"{format_count(others, 'use')} of images would fail or cannot be known"] if others else []
    parts += [f"{format_count(unreached, 'use')} in stages that no build needs (--reached-only)"] if unreached else []
    parts += [f"{format_count(len(report.faults), 'line')} not understood"] if report.faults else []
    first = [f"{use.file}:{use.line}" for use in report.lost]
    first += [f"{fault.file}:{fault.line}" for fault in report.faults]
    where = ", ".join(first[:5]) + (", ..." if len(first) > 5 else "")
    hint = "`toolkit scan --write` adds what is missing to the manifest" if report.missing else None
    return Refused("scan.not_kept_home", f"{'; '.join(parts)}: {where}", hint=hint)
