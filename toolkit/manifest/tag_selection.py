"""Tags that the manifest describes instead of listing them; which of an upstream's tags match."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema

from toolkit.manifest.grammar import Spec, TagExtract, TagGlob, TagRegex, TagSuffix, TagText, VersionRangeText, listed
from toolkit.manifest.tag_pattern import TagPattern
from toolkit.manifest.tag_versions import VersionRange, age_key, read_version
from toolkit.oci.companions import is_companion_tag

_WAYS = ("glob", "regex", "versions")


def _given(way: str) -> dict[str, Any]:
    return {"required": [way], "properties": {way: {"type": "string"}}}


_ONLY_EXTRACT = {**_given("extract"), "not": {"anyOf": [_given(way) for way in _WAYS]}}


class TagSelectionSpec(Spec):
    """Tags chosen among the upstream's own for each plan: by one of `glob`, `regex` and `versions`, or by `extract`."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [*map(_given, _WAYS), _ONLY_EXTRACT]})

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
    extract: TagExtract | None = Field(
        None,
        description="A regular expression for the whole tag. What its named group takes stands for the tag: it says "
        "which tag is newer, and with `versions` it is the version. Other tags are left out.",
        examples=[r"main-[0-9a-f]+-(?P<time>\d+)"],
    )
    exclude: tuple[TagGlob, ...] = Field(
        (), strict=False, description="Patterns of tags to leave out, as for `glob`.", examples=[["*rc*"]]
    )
    keep: int | None = Field(None, ge=1, description="How many to mirror, the newest by version; default: all.")

    @model_validator(mode="after")
    def _has_one_way(self) -> TagSelectionSpec:
        given = [way for way in _WAYS if getattr(self, way) is not None]
        if not given and self.extract is None:
            raise ValueError("must have `glob`, `regex`, `versions` or `extract`")
        if len(given) > 1:
            raise ValueError(f"has {listed(given)}: keep one of them")
        lost = [name for name in ("suffix", "parts") if getattr(self, name) is not None]
        if lost and self.versions is None:
            way = (*given, "extract")[0]
            raise ValueError(f"{listed(lost)} can stand beside `versions` only: say it in the `{way}`")
        return self

    def matches(self, tag: str) -> bool:
        """Whether `tag` is one of those described; `keep` may leave it out all the same. Raises TooSlow.

        A tag of a signature never is: signatures come with their image (`signatures: keep`).
        """
        return self._reader()(tag) is not None

    def choose(self, tags: Iterable[str]) -> tuple[str, ...]:
        """The tags to mirror of an upstream's, newest first. Raises TooSlow."""
        read = self._reader()
        found = {tag: part for tag in tags if (part := read(tag)) is not None}
        return tuple(sorted(found, key=lambda tag: (age_key(found[tag]), tag), reverse=True)[: self.keep])

    def _reader(self) -> Callable[[str], str | None]:
        """What says of each tag of one repository which part of it counts; None if the tag is not described."""
        pattern = TagPattern(self.regex) if self.regex is not None else None
        extract = TagPattern(self.extract) if self.extract is not None else None

        def read(tag: str) -> str | None:
            if is_companion_tag(tag) or any(fnmatchcase(tag, excluded) for excluded in self.exclude):
                return None
            part = extract.extract(tag) if extract is not None else tag
            is_described = (
                part is not None
                and (self.glob is None or fnmatchcase(tag, self.glob))
                and (pattern is None or pattern.matches(tag))
                and (self.versions is None or self._has_version(part))
            )
            return part if is_described else None

        return read

    def _has_version(self, text: str) -> bool:
        version = read_version(text)
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
        words = self.glob or self.regex or self.extract or f"{self.versions}-{self.suffix or ''}"
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
            raise ValueError("must be a list of tags, or a mapping with `glob`, `regex`, `versions` or `extract`")
        return TagSelectionSpec.model_validate(value) if isinstance(value, dict | TagSelectionSpec) else handler(value)


Tags = Annotated[tuple[str, ...] | TagSelectionSpec, _ListOrSelection()]
