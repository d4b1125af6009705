"""What a compose file fetches and builds, its variables filled in as `docker compose` does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from toolkit.codebuild.coverage import Kind
from toolkit.codebuild.docker_commands import SBOM_SCANNER, cache_image
from toolkit.codebuild.findings import Build, Follow, NamedImage, Reading, Trouble
from toolkit.codebuild.variables import CannotExpand, Word, interpolate
from toolkit.manifest.document import Document, NotYaml, Path, read_document

_ALWAYS = frozenset({"always", "daily", "weekly"})


def read_compose(text: str, values: Mapping[str, str] | None = None, *, pulls_always: bool = False) -> Reading:
    """The images that the services run, and their builds; `pulls_always` as `docker compose build --pull` does."""
    try:
        document = read_document(text)
    except NotYaml as error:
        return Reading(troubles=(Trouble(error.line, error.message, is_fault=True),))
    root = document.data if document else None
    if document is None or not isinstance(root, dict):
        return Reading(troubles=(Trouble(1, "it is no compose file: it has no `services`", is_fault=True),))
    reader = _Reader(document, values or {}, pulls_always)
    reader.read(root)
    return Reading(tuple(reader.images), tuple(reader.builds), tuple(reader.troubles), follows=tuple(reader.follows))


class _Reader:
    def __init__(self, document: Document, values: Mapping[str, str], pulls_always: bool) -> None:
        self._document = document
        self._values = values
        self._pulls_always = pulls_always
        self.images: list[NamedImage] = []
        self.builds: list[Build] = []
        self.troubles: list[Trouble] = []
        self.follows: list[Follow] = []

    def read(self, root: dict[str, object]) -> None:
        services = root.get("services")
        for number, entry in enumerate(_listed(root.get("include"))):
            paths = _listed(entry.get("path")) if isinstance(entry, dict) else [entry]
            for file in paths:
                self._follow(("include", number), file)
        if not isinstance(services, dict):
            if "include" not in root:
                self.troubles.append(Trouble(1, "it is no compose file: it has no `services`", is_fault=True))
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
        platform = self._text((*path, "platform"), service.get("platform"))
        policy = str(service.get("pull_policy") or "")
        if service.get("build") is not None:
            self._read_build((*path, "build"), service["build"], image, platform)
        elif image is not None and policy not in ("never", "build"):
            self._note(
                Kind.COMPOSE_IMAGE,
                (*path, "image"),
                str(service["image"]),
                image,
                platform=platform.text if platform else None,
                pulls_always=self._pulls_always or policy in _ALWAYS or policy.startswith("every_"),
            )

    def _read_build(self, path: Path, build: object, image: Word | None, platform: Word | None) -> None:
        fields = {"context": build} if isinstance(build, str) else build
        if not isinstance(fields, dict):
            self._give_up(path, "`build` is a folder or a mapping")
            return
        context = self._text((*path, "context"), fields.get("context")) or Word(".")
        file = self._text((*path, "dockerfile"), fields.get("dockerfile"))
        inline = fields.get("dockerfile_inline")
        if context.unset or (file and file.unset) or "://" in context.text or context.text.startswith("git@"):
            self._give_up(path, "its Dockerfile is somewhere else")
            return
        for number, value in enumerate(_listed(fields.get("cache_from"))):
            word = self._text((*path, "cache_from", number), value)
            cache = cache_image(word.text) if word else None
            if word and cache:
                self._note(Kind.CACHE_FROM, (*path, "cache_from", number), str(value), Word(cache, word.unset))
        if fields.get("sbom") not in (None, False, "false"):
            self._note(Kind.SBOM, (*path, "sbom"), SBOM_SCANNER, Word(SBOM_SCANNER))
        platforms = [self._text((*path, "platforms"), one) for one in _listed(fields.get("platforms"))]
        own = [word.text for word in platforms if word] or ([platform.text] if platform else [])
        tags = [self._text((*path, "tags"), one) for one in _listed(fields.get("tags"))]
        self.builds.append(
            Build(
                line=self._document.place(path).line,
                context=context.text,
                dockerfile=file.text if file else None,
                is_beside_context=True,
                asks_buildkit=True,
                is_partial="context" not in fields,
                inline=self._plain((*path, "dockerfile_inline"), inline),
                args=dict(self._pairs((*path, "args"), fields.get("args"))),
                contexts=dict(self._pairs((*path, "additional_contexts"), fields.get("additional_contexts"))),
                platforms=tuple(own),
                target=self._plain((*path, "target"), fields.get("target")),
                pulls_always=self._pulls_always or fields.get("pull") is True,
                tags=tuple(word.text for word in (image, *tags) if word),
            )
        )

    def _plain(self, path: Path, text: object) -> str | None:
        word = self._text(path, text)
        return word.text if word else None

    def _pairs(self, path: Path, value: object) -> Iterator[tuple[str, str]]:
        """`{A: 1}` or `[A=1, B]`; one without a value has that of the environment, if there is one."""
        items = value.items() if isinstance(value, dict) else [str(one).partition("=")[::2] for one in _listed(value)]
        texts = [str(one) for one in _listed(value)]
        for key, own in items:
            is_bare = own is None or (isinstance(value, list) and str(key) in texts)
            word = self._text(path, self._values.get(str(key)) if is_bare else own)
            if word is not None and not word.unset:
                yield str(key), word.text

    def _text(self, path: Path, value: object) -> Word | None:
        if value is None:
            return None
        text = str(value).lower() if isinstance(value, bool) else str(value)
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

    def _follow(self, path: Path, value: object) -> None:
        word = self._text(path, value)
        if word is None or word.unset or "://" in word.text:
            self._give_up(path, "the file that it includes is somewhere else")
        else:
            self.follows.append(Follow(self._document.place(path).line, word.text, "compose", self._pulls_always))

    def _give_up(self, path: Path, why: str) -> None:
        self.troubles.append(Trouble(self._document.place(path).line, f"not understood: {why}", is_fault=True))


def _listed(value: object) -> list[object]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
