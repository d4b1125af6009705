"""`toolkit explain`: what a code of an error, a refusal or a notice means, or an exit code."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.completion import codes
from toolkit.cli.options import Format, OutputFormat
from toolkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.cli.explanations import ExitCode, Explanation

NAME = "explain"
HELP = (
    "Explain a code of an error, or an exit code. Says what happened, why, what it leaves behind, and what to do next. "
    "Takes codes of refusals and notices too; without one, lists all. Needs no manifest."
)
EXAMPLES = ("toolkit explain plan.stale", "toolkit explain 7", "toolkit explain | grep tag")


def command(
    code: Annotated[
        str | None,
        typer.Argument(
            metavar="[CODE]", help="Such as source.missing, or 7.", show_default=False, autocompletion=codes
        ),
    ] = None,
    format: OutputFormat = Format.TEXT,  # noqa: A002  the option's name
) -> None:
    """Run `toolkit explain`."""

    def body(run: Run) -> int:
        from toolkit.cli import explanations

        if code is None:
            everything: dict[str, object] = {
                "codes": [asdict(found) for one in explanations.codes() if (found := explanations.explain(one))],
                "exit_codes": [asdict(one) for one in explanations.EXIT_CODES],
            }
            run.show("explanation", everything, _list())
            return 0
        asked = code.strip("[]`")
        if asked.isdigit():
            ending = next((one for one in explanations.EXIT_CODES if one.number == int(asked)), None)
            if ending is None:
                known = ", ".join(str(one.number) for one in explanations.EXIT_CODES)
                raise UsageError("usage.value", f"`{asked}` is no exit code of toolkit: these are {known}")
            codes = explanations.codes_that_end_with(ending.number)
            run.show("explanation", {"exit_code": {**asdict(ending), "codes": codes}}, _exit_code(ending, codes))
            return 0
        found = explanations.explain(asked)
        if found is None:
            near = explanations.near(asked)
            hint = f"ask for {', '.join(f'`{one}`' for one in near)}" if near else "`toolkit explain` lists all"
            raise UsageError("usage.value", f"`{asked}` is no code of toolkit", hint=hint)
        run.show("explanation", {"code": asdict(found)}, _code(found))
        return 0

    execute(NAME, Presentation(format, is_brief=True), body)


def _code(found: Explanation) -> str:
    parts = [f"{found.code} ({', '.join(found.kinds)})"]
    for title, lines in (
        ("What happened", found.happened),
        ("Why", (found.why,)),
        ("What it leaves behind", found.leaves),
        ("What to do next", found.next),
    ):
        if lines:
            parts += ["", f"{title}:", *(f"  {line}" for line in lines)]
    return "\n".join(parts)


def _exit_code(one: ExitCode, codes: Sequence[str]) -> str:
    parts = [f"exit {one.number}: {one.meaning}", "", "What it leaves behind:", f"  {one.leaves}"]
    if one.next:
        parts += ["", "What to do next:", f"  {one.next}"]
    if codes:
        parts += ["", "Codes that end a run so (`toolkit explain CODE`):", *(f"  {code}" for code in codes)]
    return "\n".join(parts)


def _list() -> str:
    from toolkit.cli import explanations

    lines = []
    for code, places in explanations.codes().items():
        said = next((place.message for place in places if place.message), "") or explanations.own_reason(code)
        lines.append(f"{code:<36} {said}".rstrip())
    lines += [f"{one.number:<36} {one.meaning}" for one in explanations.EXIT_CODES]
    return "\n".join(lines)
