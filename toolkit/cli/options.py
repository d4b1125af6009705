"""Options that several commands share, each worded once."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit.cli.completion import adoptable
from toolkit.plan.on_budget import OnBudget


class Format(StrEnum):
    """What stdout carries: text, one JSON document, or the event stream as JSON lines."""

    TEXT = "text"
    JSON = "json"
    JSON_LINES = "json-lines"


class ResultFormat(StrEnum):
    """The formats of a command whose result has views."""

    TEXT = "text"
    JSON = "json"
    JSON_LINES = "json-lines"
    MARKDOWN = "markdown"
    HTML = "html"


class RefreshFormat(StrEnum):
    """The formats of a refresh: CloudWatch takes its metrics from a line in the embedded metric format."""

    TEXT = "text"
    JSON = "json"
    JSON_LINES = "json-lines"
    MARKDOWN = "markdown"
    HTML = "html"
    EMF = "emf"


class ScanFormat(StrEnum):
    """The formats of a command whose result may be a scan: all that there are."""

    TEXT = "text"
    JSON = "json"
    JSON_LINES = "json-lines"
    MARKDOWN = "markdown"
    HTML = "html"
    SARIF = "sarif"


class LogFormat(StrEnum):
    """What stderr carries."""

    TEXT = "text"
    JSON = "json"


ManifestFile = Annotated[Path, typer.Option("--file", "-f", help="The image manifest.", show_default=True)]
OutputFormat = Annotated[
    Format, typer.Option("--format", envvar="TOOLKIT_FORMAT", help="What stdout carries; everything else is on stderr.")
]
_VIEW = typer.Option(
    "--format", envvar="TOOLKIT_FORMAT", help="The view of the result on stdout; everything else is on stderr."
)
ViewFormat = Annotated[ResultFormat, _VIEW]
ScanViewFormat = Annotated[ScanFormat, _VIEW]
RefreshViewFormat = Annotated[
    RefreshFormat | None,
    typer.Option(
        "--format",
        envvar="TOOLKIT_FORMAT",
        help="The view of the result on stdout; everything else is on stderr. `emf` is a line with the metrics for "
        "CloudWatch. [default: text; with --bundle emf]",
    ),
]
Outputs = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        metavar="FORMAT=FILE",
        help="Write this view of the result to FILE too, also when the run fails; may be repeated. The variable has "
        "them with blanks between.",
    ),
]
Log = Annotated[
    LogFormat,
    typer.Option("--log", help="Events on stderr: lines of text, or a JSON object a line."),
]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="One line per event on stderr, also on a terminal.")]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Refuse what else is a notice: secrets in plain text, wide rights and other risks."),
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="More events on stderr: short retries, the start of each resource change."),
]
WorkDirectory = Annotated[
    Path | None,
    typer.Option("--work-dir", help="Where Terraform runs. [default: .toolkit/<name>/<region>]"),
]
TerraformBinary = Annotated[str, typer.Option("--terraform-bin", help="Terraform's program; `tofu` works too.")]
CacheDirectory = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir",
        help="Registry documents already read; safe to delete. [default: ~/.cache/base-image-toolkit]",
    ),
]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, max=64, help="Requests to registries at a time.")]

# Below it a registry waits so long for the next chunk of each of several transfers that it may hang up.
_LOWEST_RATE = 256_000
_RATE = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?:(?P<letter>[KMG])(?P<binary>I)?)?B?", re.IGNORECASE)


def parse_rate(text: str) -> int:
    """Bytes a second: `20M`, `1.5GB`, `500K` count in thousands, `KiB`, `MiB` and `GiB` in 1024s."""
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f"`{text}` is not a rate: write bytes a second, such as `20M`, `500K` or `8MiB`")
    step = 1024 if found["binary"] else 1000
    rate = int(float(found["number"]) * step ** " KMG".index((found["letter"] or " ").upper()))
    if rate < _LOWEST_RATE:
        raise typer.BadParameter(f"`{text}` is less than 256K a second, at which transfers may break off")
    return rate


MOST_SHARDS = 256
"""The jobs that a matrix of GitHub Actions may have; a batch of CodeBuild has at most 100 builds."""

_UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>\d{{1,9}}){unit})?" for unit in _UNITS))


def parse_duration(text: str) -> int:
    """Seconds: `90s`, `5m`, `1h30m`, `7d`, `2w`, `0`."""
    found = _DURATION.fullmatch(text.strip() or "-")
    if found is None and text.strip() != "0":
        raise typer.BadParameter(f"`{text}` is not a duration: write `90s`, `5m`, `1h30m` or `7d`")
    return sum(int(found[unit] or 0) * length for unit, length in _UNITS.items()) if found else 0


def parse_age(text: str) -> timedelta:
    """A time as the manifest writes it: `12h`, `30d`, `4w`."""
    from toolkit.manifest.grammar import duration_of

    if not re.fullmatch(r"[0-9]{1,4}[smhdw]", text):
        raise typer.BadParameter(f"`{text}` is not a time: write `12h`, `30d` or `4w`")
    return duration_of(text)


def parse_shards(text: str) -> int:
    """A number of machines; 0 for `auto`."""
    if text == "auto":
        return 0
    if not re.fullmatch(r"[1-9][0-9]{0,2}", text) or int(text) > MOST_SHARDS:
        raise typer.BadParameter(f"`{text}` is not a number of shards: write `auto`, or 1 to {MOST_SHARDS}")
    return int(text)


LockTimeout = Annotated[
    int,
    typer.Option(
        "--lock-timeout",
        parser=parse_duration,
        metavar="DURATION",
        help="How long to wait for a state that another run has locked: 90s, 5m, 1h30m; 0 does not wait.",
    ),
]
DEFAULT_LOCK_TIMEOUT: Any = "120s"
"""As it is written, because Typer parses a default too."""
LimitRate = Annotated[
    int | None,
    typer.Option(
        "--limit-rate",
        parser=parse_rate,
        metavar="RATE",
        help="Bytes a second for all blobs together: 20M, 500K (thousands), 8MiB (1024s).",
    ),
]
ShowUnchanged = Annotated[
    bool, typer.Option("--show-unchanged", help="List the images that stay as they are, instead of counting them.")
]
Places = Annotated[
    bool,
    typer.Option("--places", help="List every place of every image, in text and Markdown; JSON always has them."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be copied, and stop.")]
AllowDestroy = Annotated[
    bool,
    typer.Option(
        "--allow-destroy",
        help="Let Terraform delete or replace resources that hold something: repositories with their images, projects, "
        "webhooks, roles. Resources that are taken over may lose principals that pull, AWS tags and old logs.",
    ),
]
DestroyRemoved = Annotated[
    bool,
    typer.Option(
        "--destroy-removed",
        help="Delete the repositories and builds that left the manifest, instead of letting them go. Refused where "
        "images would be lost or another build pulls them, unless --allow-destroy is given too.",
    ),
]
Adopt = Annotated[
    list[str] | None,
    typer.Option(
        "--adopt",
        metavar="PATTERN",
        autocompletion=adoptable,
        help="Take over resources that exist in AWS and are not this manifest's, by the name of a repository or of a "
        "build, which has a project, a role and logs. `*` matches any characters; may be repeated.",
    ),
]
KeepGoing = Annotated[
    bool,
    typer.Option(
        "--keep-going",
        help="Leave out images that are refused, such as one without its source, and do the rest: apply and seed "
        "then exit with 6.",
    ),
]
BudgetPolicy = Annotated[
    OnBudget,
    typer.Option(
        "--on-budget",
        help="When the copies need more counted pulls than are left: refuse, wait for more with a clock on the screen, "
        "or copy what fits and leave the rest for the next run (exit 6).",
    ),
]
