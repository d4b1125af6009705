"""The images that a project of compose files fetches and builds, as `docker compose` reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from posixpath import join

from toolkit.codebuild.build_fields import cache_image, is_elsewhere, sbom_scanner, spelled
from toolkit.codebuild.compose_model import ComposeModel, Node, Tree, fields_of_build, pairs_of
from toolkit.codebuild.coverage import Kind
from toolkit.codebuild.findings import Build, NamedImage, Reading
from toolkit.codebuild.variables import Values, Word

_ALWAYS = frozenset({"always", "daily", "weekly"})


def read_compose(
    files: Sequence[str], tree: Tree, values: Values | None = None, *, pulls_always: bool = False
) -> Reading:
    """The images that the services run, and their builds. Paths are from the project's folder."""
    model = ComposeModel(tree)
    services = model.services(files, "", values or {})
    reader = _Reader(model, pulls_always)
    for name, service in services.items():
        reader.read(name, service)
    return reader.reading


class _Reader:
    def __init__(self, model: ComposeModel, pulls_always: bool) -> None:
        self._model = model
        self._pulls_always = pulls_always
        self._images: list[NamedImage] = []
        self._builds: list[Build] = []

    @property
    def reading(self) -> Reading:
        """What was found. Builds run in the order of the files, and services start after all of them."""
        tags: list[str] = []
        makers: dict[str, str] = {}
        builds = []
        for build in self._builds:
            builds.append(replace(build, made=len(tags)))
            tags += build.tags
            makers = {**dict.fromkeys(build.tags, build.file), **makers}
        images = (replace(image, made=len(tags)) for image in self._images)
        return Reading(
            tuple(images),
            tuple(builds),
            tuple(self._model.troubles),
            tuple(tags),
            makers=makers,
            files=self._model.files,
        )

    def read(self, name: str, service: Node) -> None:
        """Read one service."""
        volumes = service.get("volumes")
        for volume in volumes.items if volumes else ():
            kind, source = volume.get("type"), volume.get("source")
            if kind and kind.data == "image" and source and (word := self._model.word(source)):
                self._note(Kind.COMPOSE_IMAGE, source, word)
        written, build = service.get("image"), service.get("build")
        image = self._model.word(written)
        platform = self._platform(service.get("platform"))
        if platform is None and (default := service.scope.values.get("DOCKER_DEFAULT_PLATFORM")):
            platform = Word(default)
        policy = self._model.word(service.get("pull_policy")) or Word("")
        if build is not None:
            self._read_build(name, service, build, image, platform)
        elif written and image and (policy.unset or policy.text not in ("never", "build")):
            self._note(
                Kind.COMPOSE_IMAGE,
                written,
                image,
                platform=platform.text if platform else None,
                pulls_always=self._pulls_always
                or bool(policy.unset)
                or policy.text in _ALWAYS
                or policy.text.startswith("every_"),
            )

    def _read_build(self, name: str, service: Node, build: Node, image: Word | None, platform: Word | None) -> None:
        fields = fields_of_build(build)
        if fields is None:
            self._model.give_up(build, "`build` is a folder or a mapping")
            return
        written = fields.get("context")
        context = self._model.word(written) or Word(".")
        file = self._model.word(fields.get("dockerfile"))
        inline = self._model.word(fields.get("dockerfile_inline"))
        unset = (*context.unset, *(file.unset if file else ()), *(inline.unset if inline else ()))
        if unset:
            self._model.give_up(build, f"which Dockerfile it builds needs `{unset[0]}`")
            return
        if is_elsewhere(context.text):
            self._model.give_up(build, "its Dockerfile is somewhere else")
            return
        caches = fields.get("cache_from")
        for value in caches.items if caches else ():
            word = self._model.word(value)
            cache = cache_image(word.text) if word else None
            if word and cache is not None and (cache or word.unset):
                self._note(Kind.CACHE_FROM, value, Word(cache, word.unset))
        sbom = self._model.word(fields.get("sbom")) or Word("false")
        if scanner := sbom_scanner(sbom.text):
            self._note(Kind.SBOM, fields.get("sbom") or build, Word(scanner, sbom.unset), written=scanner)
        platforms = [word for one in _items(fields.get("platforms")) if (word := self._platform(one))]
        own = [word.text for word in platforms] or ([platform.text] if platform else [])
        tags = [self._model.word(one) for one in _items(fields.get("tags"))]
        target = self._model.word(fields.get("target")) or Word("")
        pull = self._model.word(fields.get("pull")) or Word("")
        contexts = dict(self._pairs(fields.get("additional_contexts")))
        for key in [key for key, value in contexts.items() if value is None]:
            self._model.give_up(fields.get("additional_contexts") or build, f"its context `{key}` has no known value")
        self._builds.append(
            Build(
                line=build.line,
                file=build.scope.file,
                name=name.replace(".", "_"),  # as buildx names the target
                context=join((written or service).scope.folder, context.text),
                dockerfile=file.text if file else None,
                is_beside_context=True,
                asks_buildkit=True,
                is_partial=written is None,
                inline=inline.text if inline else None,
                args=dict(self._pairs(fields.get("args"))),
                contexts=contexts,
                platforms=tuple(own),
                target=target.text or None,
                is_target_known=not target.unset,
                pulls_always=self._pulls_always or pull.text == "true" or bool(pull.unset),
                tags=tuple(word.text for word in (image, *tags) if word and not word.unset),
            )
        )

    def _platform(self, node: Node | None) -> Word | None:
        word = self._model.word(node)
        if node and word and word.unset:
            self._model.give_up(node, f"its platform needs `{word.unset[0]}`, which has no known value")
        return word

    def _pairs(self, node: Node | None) -> Iterator[tuple[str, str | None]]:
        """The pairs of `{A: 1}` or `[A=1, B]`, None for an unknown value.

        A name alone takes the variable's value. It is left out if there is none: an argument keeps its default then.
        """
        for key, own in pairs_of(node).items():
            if own.data is None and key in own.scope.values:
                yield key, own.scope.values[key]
            elif own.data is not None:
                word = self._model.word(own)
                yield key, None if word is None or word.unset else word.text

    def _note(
        self,
        kind: Kind,
        node: Node,
        word: Word,
        *,
        written: str | None = None,
        platform: str | None = None,
        pulls_always: bool = False,
    ) -> None:
        text = spelled(node.plain) if written is None else written
        image = NamedImage(node.line, kind, text, word.text, platform, word.unset, pulls_always, file=node.scope.file)
        self._images.append(image)


def _items(node: Node | None) -> list[Node]:
    return node.items if node else []
