"""The images that a compose file fetches and builds, with its variables filled in as `docker compose` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from toolkit.codebuild.build_fields import cache_image, is_elsewhere, listed, sbom_scanner, spelled
from toolkit.codebuild.coverage import Kind
from toolkit.codebuild.findings import Build, Follow, NamedImage, Reading, Trouble
from toolkit.codebuild.variables import CannotExpand, Values, Word, interpolate
from toolkit.manifest.document import Document, NotYaml, Path, read_document

_ALWAYS = frozenset({"always", "daily", "weekly"})


def read_compose(text: str, values: Values | None = None, *, pulls_always: bool = False) -> Reading:
    """The images that the services run, and their builds; `pulls_always` stands for `docker compose build --pull`."""
    try:
        document = read_document(text)
    except NotYaml as error:
        return Reading(troubles=(Trouble(error.line, error.message, is_fault=True),))
    root = document.data if document else None
    if document is None or not isinstance(root, dict):
        return Reading(troubles=(Trouble(1, "it is not a compose file: it has no `services`", is_fault=True),))
    reader = _Reader(document, values or {}, pulls_always)
    reader.read(root)
    return reader.reading


class _Reader:
    def __init__(self, document: Document, values: Values, pulls_always: bool) -> None:
        self._document = document
        self._values = values
        self._pulls_always = pulls_always
        self.images: list[NamedImage] = []
        self.builds: list[Build] = []
        self.troubles: list[Trouble] = []
        self.follows: list[Follow] = []

    @property
    def reading(self) -> Reading:
        """What was found. Builds run in the order of the file, and services start after all of them."""
        tags: list[str | Follow] = list(self.follows)
        builds = []
        for build in self.builds:
            builds.append(replace(build, made=len(tags)))
            tags += build.tags
        images = (replace(image, made=len(tags)) for image in self.images)
        return Reading(tuple(images), tuple(builds), tuple(self.troubles), tuple(tags))

    def read(self, root: dict[str, object]) -> None:
        services = root.get("services")
        for number, entry in enumerate(listed(root.get("include"))):
            fields = entry if isinstance(entry, dict) else {"path": entry}
            for file in listed(fields.get("path")):
                self._follow(("include", number), file, listed(fields.get("env_file")))
        if not isinstance(services, dict):
            if "include" not in root:
                self.troubles.append(Trouble(1, "it is not a compose file: it has no `services`", is_fault=True))
            return
        for name, service in services.items():
            path: Path = ("services", name)
            if isinstance(service, dict):
                self._read_service(path, service)
            elif service is not None:
                self._give_up(path, "a service is a mapping")

    def _read_service(self, path: Path, service: dict[str, object]) -> None:
        extends = service.get("extends")
        if isinstance(extends, dict) and extends.get("file"):
            self._follow((*path, "extends", "file"), extends["file"])
        image = self._text((*path, "image"), service.get("image"))
        platform = self._platform((*path, "platform"), service.get("platform"))
        policy = self._text((*path, "pull_policy"), service.get("pull_policy")) or Word("")
        if service.get("build") is not None:
            self._read_build((*path, "build"), service["build"], image, platform)
        elif image is not None and (policy.unset or policy.text not in ("never", "build")):
            self._note(
                Kind.COMPOSE_IMAGE,
                (*path, "image"),
                str(service["image"]),
                image,
                platform=platform.text if platform else None,
                pulls_always=self._pulls_always
                or bool(policy.unset)
                or policy.text in _ALWAYS
                or policy.text.startswith("every_"),
            )

    def _read_build(self, path: Path, build: object, image: Word | None, platform: Word | None) -> None:
        fields = {"context": build} if isinstance(build, str) else build
        if not isinstance(fields, dict):
            self._give_up(path, "`build` is a folder or a mapping")
            return
        context = self._text((*path, "context"), fields.get("context")) or Word(".")
        file = self._text((*path, "dockerfile"), fields.get("dockerfile"))
        inline = self._text((*path, "dockerfile_inline"), fields.get("dockerfile_inline"))
        unset = (*context.unset, *(file.unset if file else ()), *(inline.unset if inline else ()))
        if unset:
            self._give_up(path, f"which Dockerfile it builds needs `{unset[0]}`")
            return
        if is_elsewhere(context.text):
            self._give_up(path, "its Dockerfile is somewhere else")
            return
        for number, value in enumerate(listed(fields.get("cache_from"))):
            word = self._text((*path, "cache_from", number), value)
            cache = cache_image(word.text) if word else None
            if word and cache is not None and (cache or word.unset):
                self._note(Kind.CACHE_FROM, (*path, "cache_from", number), str(value), Word(cache, word.unset))
        sbom = self._text((*path, "sbom"), fields.get("sbom")) or Word("false")
        if scanner := sbom_scanner(sbom.text):
            self._note(Kind.SBOM, (*path, "sbom"), scanner, Word(scanner, sbom.unset))
        platforms = [self._platform((*path, "platforms"), one) for one in listed(fields.get("platforms"))]
        own = [word.text for word in platforms if word] or ([platform.text] if platform else [])
        tags = [self._text((*path, "tags"), one) for one in listed(fields.get("tags"))]
        target = self._text((*path, "target"), fields.get("target")) or Word("")
        pull = self._text((*path, "pull"), fields.get("pull")) or Word("")
        contexts = dict(self._pairs((*path, "additional_contexts"), fields.get("additional_contexts")))
        for name in [name for name, value in contexts.items() if value is None]:
            self._give_up((*path, "additional_contexts"), f"its context `{name}` has no known value")
        self.builds.append(
            Build(
                line=self._document.place(path).line,
                context=context.text,
                dockerfile=file.text if file else None,
                is_beside_context=True,
                asks_buildkit=True,
                is_partial="context" not in fields,
                inline=inline.text if inline else None,
                args=dict(self._pairs((*path, "args"), fields.get("args"))),
                contexts=contexts,
                platforms=tuple(own),
                target=target.text or None,
                is_target_known=not target.unset,
                pulls_always=self._pulls_always or pull.text == "true" or bool(pull.unset),
                tags=tuple(word.text for word in (image, *tags) if word and not word.unset),
            )
        )

    def _platform(self, path: Path, value: object) -> Word | None:
        word = self._text(path, value)
        if word and word.unset:
            self._give_up(path, f"its platform needs `{word.unset[0]}`, which has no known value")
        return word

    def _pairs(self, path: Path, value: object) -> Iterator[tuple[str, str | None]]:
        """The pairs of `{A: 1}` or `[A=1, B]`, None for an unknown value.

        A name alone takes the variable's value. It is left out if there is none: an argument keeps its default then.
        """
        if isinstance(value, dict):
            items = {str(key): own for key, own in value.items()}
        else:
            pairs = (spelled(one).partition("=") for one in listed(value))
            items = {key: own if equals else None for key, equals, own in pairs}
        for key, own in items.items():
            if own is None and key in self._values:
                yield key, self._values[key]
            elif own is not None:
                word = self._text(path, own)
                yield key, None if word is None or word.unset else word.text

    def _text(self, path: Path, value: object) -> Word | None:
        if value is None:
            return None
        text = spelled(value)
        try:
            return interpolate(text, self._values)
        except CannotExpand as error:
            self._give_up(path, f"`{text}` cannot be read: {error}")
            return None

    def _note(
        self,
        kind: Kind,
        path: Path,
        written: str,
        word: Word,
        *,
        platform: str | None = None,
        pulls_always: bool = False,
    ) -> None:
        line = self._document.place(path).line
        self.images.append(NamedImage(line, kind, written, word.text, platform, word.unset, pulls_always))

    def _follow(self, path: Path, value: object, env_files: Sequence[object] = ()) -> None:
        words = [self._text(path, one) for one in (value, *env_files)]
        names = [word.text for word in words if word and not word.unset and not is_elsewhere(word.text)]
        if len(names) < len(words):
            self._give_up(path, "the file that it includes is somewhere else")
            return
        line = self._document.place(path).line
        asked = Follow(line, names[0], "compose", self._pulls_always, values=self._values, env_files=tuple(names[1:]))
        self.follows.append(asked)

    def _give_up(self, path: Path, why: str) -> None:
        self.troubles.append(Trouble(self._document.place(path).line, f"not understood: {why}", is_fault=True))
