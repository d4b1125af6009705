"""`make reference`: the pages of `docs/reference` that say what the code says, and the codes of `toolkit explain`.

Commands come from Typer, fields of the manifest from its JSON Schema, events from their dataclasses, codes from the
places in the code that give them, and the JSON of results from documents that the code made of samples.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

from tests.docs.result_samples import RESULTS
from toolkit import errors, events
from toolkit.aws import explain as aws_explain
from toolkit.cli import explanations
from toolkit.cli.app import make_app
from toolkit.cli.commands.schema import Kind, schema_of
from toolkit.cli.explanations import Code
from toolkit.cli.main import COMMANDS
from toolkit.cli.process import EXHAUSTED
from toolkit.cli.render.schemas import event_kinds
from toolkit.cli.variables import ONLY_BY_HAND, long_name
from toolkit.manifest.model import json_schema
from toolkit.seed import explain as seed_explain

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
_HEAD = "<!-- Written by `make reference`. Change the code, not this page. -->\n\n"


def pages() -> dict[str, str]:
    """Every generated file, by its path below `docs/reference`."""
    return {
        "commands.md": _HEAD + commands_page(),
        "manifest.md": _HEAD + manifest_page(),
        "errors.md": _HEAD + errors_page(),
        "exit-codes.md": _HEAD + exit_codes_page(),
        "events.md": _HEAD + events_page(),
        "files-and-variables.md": files_and_variables_page(),
        "results.md": _HEAD + results_page(),
        "../../toolkit/cli/codes.json": codes_file(),
        **{f"schemas/{kind}.json": _json(schema_of(kind)) for kind in Kind},
    }


def _json(document: object) -> str:
    return json.dumps(document, indent=2) + "\n"


def _table(head: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in row)} |\n" for row in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


# Commands


def commands_page() -> str:
    group: Any = typer.main.get_command(make_app(COMMANDS))
    commands = list(_commands(group, typer.Context(group, info_name="toolkit")))
    table = _table(
        ("command", "what it does"),
        [
            (
                f"[`{context.command_path}`](#{context.command_path.replace(' ', '-')})",
                _clean(context.command.short_help or _help(context).partition(". ")[0].rstrip(".") + "."),
            )
            for context in commands
        ],
    )
    return "\n".join(
        (
            "# Commands\n",
            "Every command takes `--help`. Options may stand before or after arguments. Each has a "
            "[variable](files-and-variables.md#variables-of-options). `toolkit --install-completion` sets up completion in bash, zsh, fish and "
            "PowerShell, which knows the manifest's images and builds too.\n",
            table,
            *(_command(context) for context in commands),
        )
    )


def files_and_variables_page() -> str:
    """The page as it is, with the tables of variables between its marks renewed."""
    group: Any = typer.main.get_command(make_app(COMMANDS))
    users: dict[str, list[str]] = {}
    by_hand: dict[str, list[str]] = {}
    for context in _commands(group, typer.Context(group, info_name="toolkit")):
        name = context.command_path.removeprefix("toolkit ")
        for param in context.command.params:
            if param.param_type_name == "option" and (found := long_name(param)) in ONLY_BY_HAND:
                by_hand.setdefault(found, []).append(name)
            for variable in [param.envvar] if isinstance(param.envvar, str) else param.envvar or ():
                users.setdefault(f"`{variable}` | `{found}`", []).append(name)
    rows = [(*key.split(" | "), ", ".join(names)) for key, names in sorted(users.items())]
    tables = "\n".join(
        (
            _table(("variable", "option", "commands"), rows),
            "These have none, because they let something be destroyed, taken over or overwritten, or approve it unasked. "
            "A pull request cannot set a pipeline's environment, but an `export` that somebody has forgotten acts on every "
            "later command of a shell; a command line is seen by whoever runs it and by whoever reviews the pipeline. "
            "To set their variable is an error (`usage.variable`), so that nobody relies on it.\n",
            _table(("option", "commands"), [(_code(key), ", ".join(names)) for key, names in sorted(by_hand.items())]),
        )
    )
    page = (REFERENCE / "files-and-variables.md").read_text(encoding="utf-8")
    before, _, rest = page.partition("<!-- variables -->\n")
    return f"{before}<!-- variables -->\n{tables}<!-- /variables -->{rest.partition('<!-- /variables -->')[2]}"


def _commands(group: Any, context: Any) -> Iterator[Any]:
    for name, command in group.commands.items():
        below = type(context)(command, info_name=name, parent=context)
        if hasattr(command, "commands"):
            yield from _commands(command, below)
        else:
            yield below


def _help(context: Any) -> str:
    return (context.command.help or "").strip()


def _command(context: Any) -> str:
    command = context.command
    kinds = typing.get_type_hints(inspect.unwrap(command.callback))
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    usage = " ".join([context.command_path, "[OPTIONS]", *(_usage(param, kinds) for param in arguments)])
    parts = [f"## {context.command_path}\n", f"{_help(context)}\n", f"```text\n{usage}\n```\n"]
    options = [param for param in command.params if param.param_type_name == "option" and param.name != "help"]
    if arguments:
        rows = [(_code(_value(param, kinds)), _clean(param.help)) for param in arguments]
        parts.append(_table(("argument", "what it is"), rows))
    if options:
        rows = [(_names(param, kinds), _clean(param.help), _default(param), _variables(param)) for param in options]
        parts.append(_table(("option", "what it does", "default", "variable"), rows))
    if command.epilog:
        parts.append(f"```sh\n{_examples(command.epilog)}\n```\n")
    return "\n".join(parts)


def _usage(param: Any, kinds: Mapping[str, Any]) -> str:
    value = _value(param, kinds)
    value += "..." if param.nargs == -1 and "..." not in value else ""
    return value if param.required or value.startswith("[") else f"[{value}]"


def _value(param: Any, kinds: Mapping[str, Any]) -> str:
    """What stands for the value: the code's own word, the choices, or the type."""
    if param.metavar:
        return str(param.metavar)
    if param.param_type_name == "argument":
        return str(param.name).upper()
    for kind in [kinds[param.name], *typing.get_args(kinds[param.name])]:  # as it is, or with None
        if typing.get_origin(kind) is typing.Literal:
            return "|".join(typing.get_args(kind))
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return "|".join(kind)
        if kind in (Path, int):
            return "PATH" if kind is Path else "NUMBER"
    return "TEXT"


def _names(param: Any, kinds: Mapping[str, Any]) -> str:
    names = ", ".join(_code(name) for name in [*reversed(param.opts), *param.secondary_opts])
    return names if param.is_flag else f"{names} {_code(_value(param, kinds))}"


def _variables(param: Any) -> str:
    names = [param.envvar] if isinstance(param.envvar, str) else param.envvar or ()
    return ", ".join(_code(name) for name in names)


def _clean(text: str | None) -> str:
    """Help as Markdown: what is not code has no letters with a meaning."""
    words = re.sub(r"\s*\[default: [^]]*\]", "", text or "").split("`")
    return "`".join(
        word if number % 2 else word.replace("<", "&lt;").replace("*", "\\*") for number, word in enumerate(words)
    )


def _default(param: Any) -> str:
    named = re.search(r"\[default: ([^]]*)\]", param.help or "")
    if named:
        return _code(named[1])
    value = param.default
    if param.is_flag or value is None or callable(value) or value == "" or type(value).__name__ == "Sentinel":
        return ""
    return _code(str(getattr(value, "value", value)))


def _examples(epilog: str) -> str:
    """The lines of an epilog below its title."""
    return "\n".join(line.strip() for line in epilog.replace("\b", "").strip().splitlines()[1:])


# The manifest


def manifest_page() -> str:
    parts = [
        "# The manifest\n",
        "Every field of `images.yaml`. Unknown fields are refused. What fields mean together is checked by "
        "`toolkit validate`. [`complete/images.yaml`](../../examples/complete/images.yaml) shows every field with a "
        "value. `toolkit schema` prints this page as JSON Schema, for completion in an editor.\n",
    ]
    for path, about, table in _Sections(json_schema()).tables():
        parts += [f"## `{path}`\n" if path else "", f"{about}\n" if path else "", table]
    return "\n".join(filter(None, parts))


class _Sections:
    """A section for each mapping of the manifest, called by the path at which it is met first."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._paths: dict[str, str] = {}  # of definitions
        self._waiting: list[tuple[str, Mapping[str, Any]]] = [("", schema)]

    def tables(self) -> Iterator[tuple[str, str, str]]:
        """Path, description and table of each section, in reading order: each one before those that it leads to."""
        while self._waiting:
            path, schema = self._waiting.pop(0)
            below, self._waiting = self._waiting, []
            rows = [self._row(path, name, field, schema) for name, field in schema["properties"].items()]
            self._waiting += below
            yield path, str(schema.get("description", "")), _table(("field", "takes", "default", "what it says"), rows)

    def _row(self, path: str, name: str, field: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[str, ...]:
        default = "**required**" if name in schema.get("required", ()) else ""
        if field.get("default") is not None:
            default = _code(json.dumps(field["default"], ensure_ascii=False))
        return (_code(name), self._type(field, f"{path}.{name}".strip(".")), default, _clean(field.get("description")))

    def _type(self, field: Mapping[str, Any], path: str) -> str:
        if "$ref" in field:
            name = field["$ref"].rpartition("/")[2]
            if name in self._paths:
                return self._paths[name]
            told = self._type(self._schema["$defs"][name], path)
            self._paths[name] = told
            return told
        if "properties" in field:
            self._waiting.append((path, field))
            return f"[mapping](#{re.sub(r'[^a-z0-9_]', '', path.lower())})"
        if several := field.get("anyOf") or field.get("oneOf"):
            return " or ".join(dict.fromkeys(self._type(one, path) for one in several))
        if "enum" in field:
            return ", ".join(_code(str(value)) for value in field["enum"])
        if "const" in field:
            return _code(json.dumps(field["const"]))
        match field.get("type"):
            case "array":
                items = self._type(field.get("items", {}), f"{path}[]")
                return f"list of {items}{_bounds(field, 'minItems', 'maxItems')}"
            case "object":
                named = [one for one in [field.get("additionalProperties")] if isinstance(one, dict)]
                values = [*named, *field.get("patternProperties", {}).values()]
                return f"mapping of names to {self._type(values[0], f'{path}.NAME')}" if values else "mapping"
            case "integer" | "number":
                return f"number{_bounds(field, 'minimum', 'maximum')}"
            case "boolean":
                return "`true` or `false`"
            case "null":
                return "`null`"
            case "string":
                return f"text{_bounds(field, 'minLength', 'maxLength')}"
        return "anything"


def _bounds(field: Mapping[str, Any], least: str, most: str) -> str:
    low, high = field.get(least), field.get(most)
    if low is not None and high is not None:
        return f", {low} to {high}"
    if high is not None:
        return f", at most {high}"
    return f", at least {low}" if low not in (None, 0, 1) else ""


# Codes of errors, refusals and notices


def errors_page() -> str:
    found = sorted(set(codes()))
    parts = [
        "# Error codes\n",
        "Every error, refusal and notice has a code that does not change. Exit codes are in [exit-codes.md](exit-codes.md). "
        "`…` stands for a value. A code has a row for each sentence that may come with it; where the words are put together in the "
        "run, the row says why. `toolkit explain CODE` shows the same text.\n",
        "- An **exit code** is that of a run that ends with this error.\n"
        "- A **refusal** is part of a plan, which then ends with 7 (or 4, if all of them are about credentials).\n"
        "- A **notice** stops nothing.\n"
        "- An **image** error is about one image; the others go on, and the run ends with 6.\n",
    ]
    for room in dict.fromkeys(one.code.partition(".")[0] for one in found):
        rows = [
            (_code(one.code), one.kind, one.message or explanations.own_reason(one.code), one.hint)
            for one in found
            if one.code.partition(".")[0] == room
        ]
        parts += [
            f"## {room}\n",
            f"{explanations.about(room)}\n",
            _table(("code", "kind", "message", "hint"), rows),
        ]
    return "\n".join(parts)


def codes_file() -> str:
    """What `toolkit explain` reads, a line for each place that gives a code."""
    rows = (json.dumps(asdict(one), ensure_ascii=False) for one in sorted(set(codes())))
    return "[\n" + ",\n".join(rows) + "\n]\n"


def exit_codes_page() -> str:
    rows = [(str(one.number), one.meaning, one.leaves, one.next) for one in explanations.EXIT_CODES]
    table = _table(("code", "meaning", "what it leaves behind", "what to do"), rows)
    return f"# Exit codes\n\n{table}\nEvery error also has a [code of its own](errors.md). `toolkit explain 7` shows the same text.\n"


def codes() -> Iterator[Code]:
    """Every code that the program can give."""
    yield Code("usage", _KINDS["UsageError"], "", "see `toolkit … --help`")
    yield Code(
        "interrupted", _KINDS["Interrupted"], "the run was interrupted", "run the same command again: it continues"
    )
    yield Code(EXHAUSTED, "exit 1", "the machine ran out of …", "raise its limits, or run it with less `--jobs`")
    yield Code("bug", "exit 1", "this is a bug in toolkit: …", "report it with the traceback above")
    for path in sorted((ROOT / "toolkit").rglob("*.py")):
        yield from _codes_in(ast.parse(path.read_text(encoding="utf-8")))
    for kind in ("limited", "unreachable"):  # of `SourceFault`, whose other kinds are those of images
        yield Code(f"source.{kind}", "refusal", "", "run again later")
    for code, hint in aws_explain._DENIED.values():
        yield Code(code, _KINDS["AccessDenied"], "", hint)
    for row in seed_explain.ROWS:
        for side in [row.side] if row.side else ["source", "destination"]:
            kind = "image, refusal" if side == "source" else "image"
            yield Code(f"{side}.{row.code}", kind, "", row.hint or "")


_KINDS = {
    name: f"exit {kind.exit_code}"
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.ToolkitError)
} | {
    "RegionDisabled": "exit 4",
    # It is raised while a registry is asked, so it stops what needs the credential.
    "CredentialUnusable": "refusal",
    "_OutputLost": "exit 1",
    "_Exhausted": "exit 1",
    "Refusal": "refusal",
    "Fault": "fault",
    "Notice": "notice",
    "NoticeGiven": "notice",
    "UnreadIndex": "notice",  # `prune` leaves the repository out
}
_CODE = re.compile(r"[a-z]+\.[a-z0-9_]+")


def _codes_in(tree: ast.AST) -> Iterator[Code]:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
            for call in _calls_of(function):
                yield from _codes_of(call, function)


def _calls_of(function: ast.AST) -> Iterator[ast.Call]:
    """Its calls, without those of functions in it."""
    for node in ast.iter_child_nodes(function):
        if isinstance(node, ast.Call):
            yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _calls_of(node)


def _codes_of(call: ast.Call, function: ast.AST) -> Iterator[Code]:
    name = ast.unparse(call.func).rpartition(".")[2]
    given = {keyword.arg or "": keyword.value for keyword in call.keywords}
    if name == "_Row" and len(call.args) >= 4:  # the table of `toolkit.terraform.explain`
        _, kind, code, hint, *message = call.args
        yield Code(_text(code), _KINDS[ast.unparse(kind)], _text(message[0]) if message else "", _text(hint))
    elif name in _KINDS or "error_code" in given:
        words = [
            given.get(key, call.args[place] if place < len(call.args) else _NOTHING)
            for place, key in enumerate(("code", "message", "hint"))
        ]
        if "error_code" in given:
            words = [given["error_code"], given.get("error_message", _NOTHING), given.get("hint", _NOTHING)]
        code, message, hint = words
        found = _constants(code)
        if isinstance(code, ast.Name):  # it has one of the codes in its function that no other call names
            elsewhere = [one for other in _calls_of(function) for word in other.args for one in _constants(word)]
            found = [one for one in _constants(function) if one not in elsewhere]
        for one in found:
            yield Code(one, _KINDS.get(name, "image"), _text(message), _text(hint))


_NOTHING = ast.Constant("")


def _constants(node: ast.AST) -> list[str]:
    """The codes that an expression may be."""
    return [
        one.value
        for one in ast.walk(node)
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and _CODE.fullmatch(one.value)
    ]


def _text(node: ast.AST) -> str:
    """A text in the source, with `…` for what is known only in a run."""
    match node:
        case ast.Constant(value=str(text)):
            return re.sub(r"\{\w+\}", "…", text)
        case ast.JoinedStr(values=values):
            return "".join(_text(value) if isinstance(value, ast.Constant) else "…" for value in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return (_text(left) or "…") + (_text(right) or "…")
        case ast.IfExp(body=body, orelse=orelse):
            return " / ".join(filter(None, dict.fromkeys((_text(body), _text(orelse)))))
    return ""


# Events


def events_page() -> str:
    parts = [
        "# Events\n",
        "`--format json-lines` writes one JSON object per line to stdout. Every line has `type`, `sequence` (from 1, "
        "without gaps) and `time`; the first one has `schema_version` too, and the last one is `run_finished`, also when "
        "the run failed. Results of the command are lines of their own: `plan_made`, `report_made` and so on, with "
        "the [result](results.md) as `plan`, `report` and so on. Progress "
        "(`"
        + "`, `".join(kind.name for kind in vars(events).values() if getattr(kind, "ephemeral", False))
        + "`) is drawn on a terminal and is never a line. "
        "The JSON Schema of a line is [`schemas/events.json`](schemas/events.json); `toolkit schema events` prints it.\n",
    ]
    for kind in event_kinds():
        hints = typing.get_type_hints(kind)
        rows = [(_code(field.name), _python_type(hints[field.name])) for field in fields(kind)]
        parts += [f"## {kind.name}\n", f"{_paragraph(kind)}\n", _table(("field", "value"), rows)]
    return "\n".join(parts)


def _paragraph(kind: type) -> str:
    return " ".join((inspect.getdoc(kind) or "").split())


_NAMES = {str: "text", int: "whole number", float: "number", bool: "boolean", type(None): "null"}


def _python_type(hint: Any) -> str:
    members = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return " or ".join(_NAMES[one] for one in members)


# Results


def results_page() -> str:
    parts = [
        "# Results as JSON\n",
        "`--format json` writes one document to stdout when the run ends, and `--output json=FILE` the same one into a "
        "file: `schema_version`, `command`, `exit_code`, `error` (`code`, `message`, `hint`; for an unusable manifest "
        "also `issues[]` with `file`, `line`, `path`, `message`) when it failed, and the results below under their "
        "names. `toolkit show FILE` shows a saved document again, in any format. `plan` is explained in "
        "[plan-output.md](plan-output.md).\n",
        "**What may change.** Within a `schema_version`, fields, kinds of results and values of enumerations are added, "
        "and nothing else: no field goes or changes its type. Skip what you do not know. `toolkit` reads documents of "
        "its own `schema_version`, from older and newer versions. The schemas are made of the types in the code: "
        "[`result.json`](schemas/result.json) is that of the whole document, and `toolkit schema result` prints it.\n",
    ]
    whole = schema_of(Kind.RESULT)
    for kind, about in RESULTS.items():
        part = whole["properties"][kind]
        file = (
            f" Schema: [`schemas/{kind}.json`](schemas/{kind}.json)."
            if kind in list(Kind) and kind != "manifest"
            else ""
        )
        rows = [
            (_code(path), types_, said)
            for path, types_, said in fields_of(part, whole)
            if not path.startswith("plan.")  # of a report
        ]
        parts += [f"## {kind}\n", f"{about.text}{file}\n", _table(("field", "value", "what it says"), rows)]
    return "\n".join(parts)


Schema = Mapping[str, Any]


def fields_of(schema: Schema, root: Schema, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Path, type and description of each field; `[]` stands for an item, and `*` for a name in a mapping."""
    for one in _alternatives(schema, root):
        if "items" in one:
            yield from fields_of(one["items"], root, f"{prefix.removesuffix('.')}[].")
        for name, field in one.get("properties", {}).items():
            absent = "" if name in one.get("required", ()) else ", may be absent"
            yield f"{prefix}{name}", _type_of(field, root) + absent, _clean(_about(field, root))
            yield from fields_of(field, root, f"{prefix}{name}.")
        if isinstance(one.get("additionalProperties"), dict) and one["additionalProperties"]:
            values = one["additionalProperties"]
            names = [
                found for key in _alternatives(one.get("propertyNames", {}), root) for found in key.get("enum", ())
            ]
            yield f"{prefix}*", _type_of(values, root), f"for each of {', '.join(map(_code, names))}" if names else ""
            yield from fields_of(values, root, f"{prefix}*.")


def _alternatives(schema: Schema, root: Schema) -> Iterator[Schema]:
    if "$ref" in schema:
        yield from _alternatives(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    elif "anyOf" in schema:
        for one in schema["anyOf"]:
            yield from _alternatives(one, root)
    else:
        yield schema


def _about(schema: Schema, root: Schema) -> str:
    """What is said of the field, or of the object that it holds."""
    if "description" not in schema:
        found = [_about(one["items"], root) for one in _alternatives(schema, root) if "items" in one]
        found += [_about(one, root) for one in _alternatives(schema, root) if "description" in one]
        return next(iter(found), "")
    return re.sub(r"\bNone\b", "null", str(schema["description"]).partition("\n\n")[0])


def _type_of(schema: Schema, root: Schema) -> str:
    found = []
    for one in _alternatives(schema, root):
        kind = one.get("type", "any value")
        found.append(f"array of {_type_of(one['items'], root)}" if "items" in one else kind)
    return " or ".join(sorted(dict.fromkeys(found), key="null".__eq__))


def losses(old: Schema, new: Schema) -> list[str]:
    """What a reader of the schema `old` misses in documents of `new`: fields that went or changed their type."""
    was, now = ({path: kind for path, kind, _ in _all_fields(one)} for one in (old, new))
    if was.get("schema_version") != now.get("schema_version"):
        return []
    return [f"{path}: {kind}, now {now.get(path, 'gone')}" for path, kind in was.items() if now.get(path) != kind]


def _all_fields(schema: Schema) -> Iterator[tuple[str, str, str]]:
    """With the version as a type, and each kind of line under the name of its `type`."""
    for line in schema.get("oneOf", [schema]):
        properties = line.get("properties", {})
        kind = properties.get("type", {}).get("const", "")
        yield "schema_version", str(properties.get("schema_version", {}).get("const")), ""
        for path, types_, about in fields_of(line, schema, f"{kind}."[bool(not kind) :]):
            if path != "schema_version":
                yield path, types_, about


def main() -> int:
    """Write the pages; `--check` only says which differ. A schema that breaks its version's promise is not written."""
    changed = []
    for name, text in pages().items():
        path = REFERENCE / name
        old = path.read_text(encoding="utf-8") if path.is_file() else ""
        if old and name.startswith("schemas/") and (lost := losses(json.loads(old), json.loads(text))):
            sys.exit(f"{name}: raise the `schema_version`, or keep {'; '.join(lost)}")
        if old != text:
            changed.append(name)
            if "--check" not in sys.argv:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
    sys.stdout.write("".join(f"{name}\n" for name in changed))
    return 1 if changed and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
