"""Tags that the manifest describes instead of listing them; which of an upstream's tags match."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema

from toolkit.manifest.grammar import Spec, TagGlob, TagRegex, TagSuffix, TagText, VersionRangeText, listed
from toolkit.manifest.tag_pattern import TagPattern
from toolkit.manifest.tag_versions import VersionRange, age_key, read_version
from toolkit.oci.companions import is_companion_tag

_WAYS = ("glob", "regex", "versions")


class TagSelectionSpec(Spec):
    """Tags chosen among the upstream's own for each plan: by one of `glob`, `regex` and `versions`."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": [way], "properties": {way: {"type": "string"}}} for way in _WAYS],
        }
    )

    glob: TagGlob | None = Field(
        None, description="The whole tag, with `*`, `?` and `[…]`.", examples=["3.1?-slim", "3.*-slim"]
    )
    regex: TagRegex | None = Field(
        None,
        description="The whole tag as a regular expression of Python.",
        examples=[r"3\.\d+\.\d+"],
    )
    versions: VersionRangeText | None = Field(
        None,
        description="Bounds that all have to hold: `>=`, `>`, `<=`, `<`, `=` and `!=`. Takes tags that are a version, "
        "with or without a `v`; pre-releases only where a bound names one.",
        examples=[">=1.24 <2"],
    )
    suffix: TagSuffix | None = Field(
        None,
        description="With `versions`: what follows the version and a `-`, `*` and `?` allowed; default: nothing.",
        examples=["alpine", "debian-12-r*"],
    )
    parts: int | None = Field(
        None,
        ge=1,
        le=8,
        description="With `versions`: how many numbers a version has, 3 for `1.27.3`; default: any.",
    )
    exclude: tuple[TagGlob, ...] = Field(
        (), strict=False, description="Patterns of tags to leave out, as for `glob`.", examples=[["*rc*"]]
    )
    keep: int | None = Field(None, ge=1, description="How many to mirror, the newest by version; default: all.")

    @model_validator(mode="after")
    def _has_one_way(self) -> TagSelectionSpec:
        given = [way for way in _WAYS if getattr(self, way) is not None]
        if not given:
            raise ValueError("must have `glob`, `regex` or `versions`")
        if len(given) > 1:
            raise ValueError(f"has {listed(given)}: keep one of them")
        lost = [name for name in ("suffix", "parts") if getattr(self, name) is not None]
        if lost and self.versions is None:
            raise ValueError(f"{listed(lost)} can stand beside `versions` only: say it in the `{given[0]}`")
        return self

    def matches(self, tag: str) -> bool:
        """Whether `tag` is one of those described; `keep` may leave it out all the same. Raises TooSlow.

        A tag of a signature never is: signatures come with their image (`signatures: keep`).
        """
        return self._test()(tag)

    def choose(self, tags: Iterable[str]) -> tuple[str, ...]:
        """The tags to mirror of an upstream's, newest first. Raises TooSlow."""
        return tuple(sorted(filter(self._test(), set(tags)), key=age_key, reverse=True)[: self.keep])

    def _test(self) -> Callable[[str], bool]:
        """What says of each tag of one repository whether it is described."""
        pattern = TagPattern(self.regex) if self.regex is not None else None

        def is_described(tag: str) -> bool:
            if is_companion_tag(tag) or any(fnmatchcase(tag, excluded) for excluded in self.exclude):
                return False
            if self.glob is not None:
                return fnmatchcase(tag, self.glob)
            return pattern.matches(tag) if pattern is not None else self._has_version(tag)

        return is_described

    def _has_version(self, tag: str) -> bool:
        version = read_version(tag)
        if version is None or version.suffix is None or self.versions is None:
            return False
        has_suffix = fnmatchcase(version.suffix, self.suffix) if self.suffix else not version.suffix
        has_parts = self.parts is None or len(version.release) == self.parts
        return has_suffix and has_parts and VersionRange.parse(self.versions).has(version)

    def nearest(self, tags: Iterable[str]) -> list[str]:
        """A few of an upstream's tags that may have been meant, when none matches."""
        if self.versions is not None:
            wider = self.model_copy(update={"versions": ">=0", "parts": None, "exclude": (), "keep": 3})
            if found := wider.choose(tags):
                return list(found)
        words = self.glob or self.regex or f"{self.versions}-{self.suffix or ''}"
        return difflib.get_close_matches(
            re.sub(r"\\[a-zA-Z]|[^A-Za-z0-9_.-]", "", words), sorted(set(tags)), n=3, cutoff=0
        )


class _ListOrSelection:
    """Validates a list or a mapping without a union, which would report a fault once for each alternative."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        items = handler.generate_schema(Annotated[tuple[TagText, ...], Field(strict=False)])
        return core_schema.no_info_wrap_validator_function(self._read, items)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        selection = handler(TagSelectionSpec.__pydantic_core_schema__)
        selection.pop("title")
        return {"anyOf": [handler(schema), selection]}

    @staticmethod
    def _read(value: object, handler: core_schema.ValidatorFunctionWrapHandler) -> object:
        if isinstance(value, str):
            raise ValueError("must be a list of tags, or a mapping with `glob`, `regex` or `versions`")
        return TagSelectionSpec.model_validate(value) if isinstance(value, dict | TagSelectionSpec) else handler(value)


Tags = Annotated[tuple[str, ...] | TagSelectionSpec, _ListOrSelection()]
