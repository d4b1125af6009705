"""The manifest as JSON Schema, for editors and for pipelines that check before the toolkit runs.

It says what each field may be. What fields mean together, only the loader knows.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from toolkit.manifest.model import Manifest


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: object) -> bool:
        """Never: `Account Id` says nothing that `account_id` does not."""
        return False


def json_schema() -> dict[str, Any]:
    """The schema, draft 2020-12, short forms included; the same for every run of a version."""
    schema = Manifest.model_json_schema(schema_generator=_Generator)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Image manifest"}
