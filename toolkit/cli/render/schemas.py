"""The JSON Schemas of what the program writes, made of its types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from toolkit import events
from toolkit.cli.render.json_lines import SCHEMA_VERSION
from toolkit.cli.render.serialise import OBJECTS, ResultObject, absent

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_WRITTEN: JsonSchemaMode = "serialization"


class _Plain(GenerateJsonSchema):
    """What is written has all its fields, so a default says nothing; and a field's title would repeat its name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never."""
        return False

    def field_is_required(self, field: Any, total: bool) -> bool:
        """Unless it may be absent."""
        return field["schema"].get("default_factory") is not absent

    def default_schema(self, schema: Any) -> dict[str, Any]:
        """The schema without its default."""
        return self.generate_inner(schema["schema"])


def result_schema(kind: str) -> dict[str, Any]:
    """Of the whole document (`result`), or of the part of it that is called `kind`."""
    written = ResultObject if kind == "result" else OBJECTS[kind]
    return {"$schema": _DRAFT, **written.model_json_schema(mode=_WRITTEN, schema_generator=_Plain)}


def event_schema() -> dict[str, Any]:
    """Of a line of `--format json-lines`."""
    result = result_schema("result")
    parts = {kind: result["properties"][kind] for kind in OBJECTS}
    lines = [_line(kind.name, _fields_of(kind)) for kind in event_kinds()]
    lines += [_line(f"{kind}_made", {kind: part}) for kind, part in parts.items()]
    return {"$schema": _DRAFT, "title": "Line", "$defs": result["$defs"], "oneOf": lines}


def event_kinds() -> Sequence[type[events.Event]]:
    """Every kind of event that is a line."""
    kinds = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)]
    return [kind for kind in kinds if kind.name and not kind.ephemeral]


def _fields_of(kind: type[events.Event]) -> dict[str, Any]:
    fields: dict[str, Any] = TypeAdapter(kind).json_schema(mode=_WRITTEN, schema_generator=_Plain)["properties"]
    return fields


def _line(name: str, own: Mapping[str, Any]) -> dict[str, Any]:
    head = {
        "schema_version": {"const": SCHEMA_VERSION, "description": "In the first line only."},
        "type": {"const": name},
        "sequence": {"type": "integer", "minimum": 1},
        "time": {"type": "string", "format": "date-time"},
    }
    return {
        "type": "object",
        "properties": {**head, **own},
        "required": ["type", "sequence", "time", *own],
    }
