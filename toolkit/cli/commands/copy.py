"""`toolkit copy`: the seeding engine alone, between registries and OCI image layouts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.options import (
    BudgetPolicy,
    CacheDirectory,
    DryRun,
    Jobs,
    LimitRate,
    Log,
    LogFormat,
    NoProgress,
    Outputs,
    ResultFormat,
    Verbose,
    ViewFormat,
)
from toolkit.errors import UsageError
from toolkit.plan.on_budget import OnBudget

if TYPE_CHECKING:
    from toolkit.oci.reference import Reference
    from toolkit.oci.stores import Store
    from toolkit.operations.copy import Pair

T = TypeVar("T")
_LONGEST_LIST = 16 * 2**20  # a hundred thousand pairs; a larger file was named by mistake
NAME = "copy"
HELP = (
    "Copy images from registry to registry. The copies are byte for byte and need no Docker, Terraform or manifest. "
    "`oci:DIR:NAME` is an image in an OCI image layout, on either side. The token for ECR comes from AWS credentials, "
    "other credentials from the Docker config."
)
EXAMPLES = (
    "toolkit copy nginx:1.16 localhost:5000/nginx:1.16",
    "toolkit copy --list images.txt",
    "toolkit copy nginx:1.16 oci:carried:nginx-1.16",
    "toolkit copy --list images.txt --on-budget partial   # as far as the pulls go",
    "toolkit copy -p linux/arm64 alpine:3.20 123456789012.dkr.ecr.eu-west-1.amazonaws.com/alpine:3.20",
)


def command(
    references: Annotated[
        list[str] | None, typer.Argument(metavar="[SRC DST]...", help="Pairs of references, source first.")
    ] = None,
    list_file: Annotated[
        Path | None, typer.Option("--list", help="A file with two references a line; `#` begins a comment.")
    ] = None,
    platform: Annotated[
        list[str] | None,
        typer.Option(
            "--platform", "-p", help="Copy this platform only, such as linux/arm64; may be repeated. [default: all]"
        ),
    ] = None,
    drop_attestations: Annotated[
        bool, typer.Option("--drop-attestations", help="Leave provenance and SBOM attestations behind.")
    ] = False,
    signatures: Annotated[
        bool, typer.Option("--signatures", help="Copy cosign's signature tags and the OCI referrers too.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="PATTERN",
            help="Only pairs whose source or destination fits, such as '*nginx*'; may be repeated.",
        ),
    ] = None,
    dry_run: DryRun = False,
    format: ViewFormat = ResultFormat.TEXT,  # noqa: A002  the option's name
    output: Outputs = None,
    on_budget: BudgetPolicy = OnBudget.REFUSE,
    cache_dir: CacheDirectory = None,
    jobs: Jobs = 32,
    limit_rate: LimitRate = None,
    log: Log = LogFormat.TEXT,
    no_progress: NoProgress = False,
    verbose: Verbose = False,
) -> None:
    """Run `toolkit copy`."""

    def body(run: Run) -> int:
        from toolkit.aws.session import AwsSession
        from toolkit.cli.wiring import ecr_puts_per_second, open_cache, open_client
        from toolkit.oci.descriptor import Platform
        from toolkit.oci.layout_reference import LAYOUTS
        from toolkit.oci.pull_limits import PullLimits
        from toolkit.oci.subset import Subset
        from toolkit.operations.choose import choose, spellings
        from toolkit.operations.copy import Selection, copy, preview
        from toolkit.seed.observe import Observer
        from toolkit.seed.seeder import Seeder

        pairs = choose(
            _read_pairs(references or [], list_file),
            only or (),
            lambda pair: [*spellings(pair.source), *spellings(pair.destination)],
        )
        platforms = tuple(_parsed(Platform.parse, text, "--platform") for text in platform or []) or None
        # The region is in the name of a destination; the session's own is not used.
        client = open_client(run.emit, AwsSession("us-east-1"), {}, jobs=jobs)
        source = PullLimits(client)
        target: Store = client
        if any(LAYOUTS in (pair.source.registry, pair.destination.registry) for pair in pairs):
            from toolkit.oci.layout import Layouts
            from toolkit.oci.stores import Stores

            source = PullLimits(Stores(client, Layouts()))
            target = Stores(client, Layouts(hides_partial=True))
        cache = open_cache(run.emit, cache_dir)
        observer = Observer(source, None, run.emit, cache=cache)
        seeder = Seeder(
            source,
            target,
            run.emit,
            jobs=jobs,
            cache=cache,
            puts_per_second=ecr_puts_per_second(),
            bytes_per_second=limit_rate,
        )
        wanted = Selection(Subset(platforms, keeps_attestations=not drop_attestations), keeps_signatures=signatures)
        if dry_run:
            preview(pairs, wanted, observer, seeder, run.emit, publish=run.show_previews, on_budget=on_budget)
        else:
            copy(pairs, wanted, observer, seeder, run.emit, publish=run.show_report, on_budget=on_budget)
        return 0

    execute(NAME, Presentation(format, no_progress, verbose, outputs=output or (), files=(list_file,), log=log), body)


def _read_pairs(arguments: list[str], list_file: Path | None) -> list[Pair]:
    """The pairs of the command line and of the list. Raises UsageError with all problems at once.

    A source in a layout gets its digest here, so that a missing image is one of the problems.
    """
    from toolkit.oci.errors import OciError
    from toolkit.oci.layout_reference import parse_place
    from toolkit.oci.reference import without_credential
    from toolkit.operations.copy import Pair

    rows = [("the arguments", arguments[i : i + 2]) for i in range(0, len(arguments), 2)]
    if list_file is not None:
        rows += _read_list(list_file)
    if not rows:
        raise UsageError("usage.no_pairs", "there is nothing to copy", hint="give SRC DST, or --list FILE")
    pairs: list[Pair] = []
    problems: list[str] = []
    targets: dict[tuple[str, str | None], str] = {}
    for where, texts in rows:
        if len(texts) != 2:
            shown = " ".join(map(without_credential, texts))
            problems.append(f"{where}: a source and a destination are needed, not `{shown}`")
            continue
        try:
            pair = Pair(_found_in_layout(parse_place(texts[0])), _fillable(parse_place(texts[1])))
        except OciError as error:
            problems.append(f"{where}: {error.message}")
            continue
        if pair.source.tag is None and pair.source.digest is None:
            problems.append(f"{where}: `{texts[0]}` has no tag; write `{texts[0]}:latest` if that is meant")
        elif pair.destination.tag is None or pair.destination.digest is not None:
            problems.append(f"{where}: the destination `{texts[1]}` needs a tag, or a name in a layout, and no digest")
        elif (place := _place(pair.destination)) in targets:
            problems.append(f"{where}: `{texts[1]}` is filled twice, also by {targets[place]}")
        else:
            targets[place] = where
            pairs.append(pair)
    if problems:
        raise UsageError("usage.pairs", "; ".join(problems))
    return pairs


def _found_in_layout(source: Reference) -> Reference:
    """A layout's image with its digest; OciError says what the layout has instead."""
    from toolkit.oci.layout_reference import LAYOUTS

    if source.registry != LAYOUTS:
        return source
    from toolkit.oci.layout import Layouts

    pinned = source.with_digest(Layouts().find(source))
    Layouts().get_manifest(pinned)
    return pinned


def _fillable(destination: Reference) -> Reference:
    from toolkit.oci.layout_reference import LAYOUTS

    if destination.registry == LAYOUTS:
        from toolkit.oci.layout import Layouts

        Layouts().check_fillable(destination.name)
    return destination


def _place(destination: Reference) -> tuple[str, str | None]:
    """What identifies a destination. A layout has many spellings: relative and absolute paths, and links."""
    from toolkit.oci.layout_reference import LAYOUTS

    is_layout = destination.registry == LAYOUTS
    return os.path.realpath(destination.repository) if is_layout else str(destination.name), destination.tag


def _read_list(path: Path) -> list[tuple[str, list[str]]]:
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST_LIST + 1)
        lines = content.decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError("usage.list_unreadable", f"`{path}` cannot be read: {why}") from error
    if len(content) > _LONGEST_LIST:
        raise UsageError(
            "usage.list_unreadable", f"`{path}` has more than {_LONGEST_LIST:,} bytes, which is too much for a list"
        )
    rows = ((number, line.split("#", 1)[0].split()) for number, line in enumerate(lines, 1))
    return [(f"{path}:{number}", texts) for number, texts in rows if texts]


def _parsed(parse: Callable[[str], T], text: str, option: str) -> T:
    from toolkit.oci.errors import OciError

    try:
        return parse(text)
    except OciError as error:
        raise UsageError("usage.value", f"{option}: {error.message}", hint=error.hint) from error
