"""The images that a compose file fetches and builds, with its variables filled in as `docker compose` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from posixpath import dirname

from toolkit.codebuild.build_fields import cache_image, is_elsewhere, listed, sbom_scanner, spelled
from toolkit.codebuild.coverage import Kind
from toolkit.codebuild.findings import Build, Follow, NamedImage, Reading, Trouble
from toolkit.codebuild.variables import CannotExpand, Values, Word, interpolate
from toolkit.manifest.document import Document, NotYaml, Path, read_document

_ALWAYS = frozenset({"always", "daily", "weekly"})


def read_compose(text: str, values: Values | None = None, asked: Follow | None = None) -> Reading:
    """The images that the services run, and their builds, as `asked` says."""
    try:
        document = read_document(text)
    except NotYaml as error:
        return Reading(troubles=(Trouble(error.line, error.message, is_fault=True),))
    root = document.data if document else None
    if root is None:
        return Reading(troubles=(Trouble(1, "it is empty"),))
    if document is None or not isinstance(root, dict):
        return Reading(troubles=(Trouble(1, "it is not a compose file: it has no `services`", is_fault=True),))
    reader = _Reader(document, values or {}, asked or Follow(0, "", "compose"))
    reader.read(root)
    return reader.reading


def services_with_images(text: str) -> frozenset[str]:
    """The services that have an image or a build of their own; none if the text is no compose file."""
    try:
        document = read_document(text)
    except NotYaml:
        return frozenset()
    root = document.data if document else None
    services = root.get("services") if isinstance(root, dict) else None
    pairs = services.items() if isinstance(services, dict) else ()
    return frozenset(str(name) for name, service in pairs if _has_image(service))


def _has_image(service: object) -> bool:
    return isinstance(service, dict) and (service.get("image") is not None or service.get("build") is not None)


class _Reader:
    def __init__(self, document: Document, values: Values, asked: Follow) -> None:
        self._document = document
        self._values = values
        self._pulls_always = asked.pulls_always
        self._asked = asked
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
            folder = fields.get("project_directory")
            self._follow(("include", number), listed(fields.get("path")), listed(fields.get("env_file")), folder)
        if not isinstance(services, dict):
            if "include" not in root:
                self.troubles.append(Trouble(1, "it is not a compose file: it has no `services`", is_fault=True))
            return
        for name in self._asked_for(services):
            service = services[name]
            path: Path = ("services", name)
            if isinstance(service, dict):
                self._read_service(path, service)
            elif service is not None:
                self._give_up(path, "a service is a mapping")

    def _asked_for(self, services: dict[str, object]) -> list[str]:
        """The services that are used, with those of this file that they extend."""
        if not self._asked.services:
            return list(services)
        names = [name for name in services if str(name) in self._asked.services]
        for name in names:
            service = services[name]
            extends = service.get("extends") if isinstance(service, dict) else None
            fields = extends if isinstance(extends, dict) else {"service": extends}
            other = fields.get("service")
            if not fields.get("file") and other in services and other not in names:
                names.append(other)
        return names

    def _read_service(self, path: Path, service: dict[str, object]) -> None:
        extends = service.get("extends")
        if isinstance(extends, dict) and extends.get("file"):
            name = str(extends.get("service"))
            replaced = frozenset([name] if _has_image(service) or path[-1] in self._asked.replaced else [])
            self._follow((*path, "extends", "file"), [extends["file"]], services=frozenset([name]), replaced=replaced)
        for number, volume in enumerate(listed(service.get("volumes"))):
            if isinstance(volume, dict) and volume.get("type") == "image":
                source = (*path, "volumes", number, "source")
                if word := self._text(source, volume.get("source")):
                    self._note(Kind.COMPOSE_IMAGE, source, str(volume["source"]), word)
        image = self._text((*path, "image"), service.get("image"))
        platform = self._platform((*path, "platform"), service.get("platform"))
        policy = self._text((*path, "pull_policy"), service.get("pull_policy")) or Word("")
        if service.get("build") is not None:
            self._read_build((*path, "build"), service["build"], image, platform)
        elif image is None or path[-1] in self._asked.replaced:
            return
        elif policy.unset or policy.text not in ("never", "build"):
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

    def _follow(
        self,
        path: Path,
        files: Sequence[object],
        env_files: Sequence[object] = (),
        folder: object = None,
        services: frozenset[str] = frozenset(),
        replaced: frozenset[str] = frozenset(),
    ) -> None:
        """Note that one of the files is used, with each later one laid over it."""
        names, env_names, folders = (self._paths(path, some) for some in (files, env_files, listed(folder)))
        project = next(iter(folders), dirname(names[0]) if len(names) > 1 else "")
        for number, name in enumerate(names, 1):
            asked = Follow(
                self._document.place(path).line,
                name,
                "compose",
                self._pulls_always,
                values=self._values,
                env_files=tuple(env_names),
                folder=project or ("." if len(names) > 1 else ""),
                above=tuple(names[number:]),
                services=services,
                replaced=replaced,
            )
            self.follows.append(asked)

    def _paths(self, path: Path, values: Sequence[object]) -> list[str]:
        words = [self._text(path, one) for one in values]
        names = [word.text for word in words if word and not word.unset and not is_elsewhere(word.text)]
        if len(names) < len(words):
            self._give_up(path, "the file that it includes is somewhere else")
        return names

    def _give_up(self, path: Path, why: str) -> None:
        self.troubles.append(Trouble(self._document.place(path).line, f"not understood: {why}", is_fault=True))
