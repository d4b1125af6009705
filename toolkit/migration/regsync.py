"""regclient's `regsync.yml`, as its `cmd/regsync/config.go` and `root.go` read it.

An entry copies from `source` to `target`. A target in ECR is where the images are, so its repository is kept and taken
over; the images of any other target go to ECR under the manifest's own names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from toolkit.manifest.destinations import default_repository
from toolkit.manifest.document import Path
from toolkit.migration.carried import Carried, Entry, ForeignFile, Remark, familiar
from toolkit.migration.go_patterns import CannotSay, anchored, literals, regclients, selection, versions_extract
from toolkit.oci.endpoints import is_loopback
from toolkit.oci.errors import OciError
from toolkit.oci.reference import Reference, ecr_region, parsed


class _Model(BaseModel):
    """Keys that are in no field are in `model_extra`, so that each can be remarked on."""

    model_config = ConfigDict(extra="allow", frozen=True, alias_generator=to_camel)


class TagSet(_Model):
    """Which tags of a repository: by version first, then by expressions for the whole tag."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    semver_range: tuple[str, ...] = ()


class SyncEntry(_Model):
    """An entry of `sync`."""

    source: str
    target: str = ""
    type: Literal["registry", "repository", "image"]
    tags: TagSet = TagSet()
    tag_sets: tuple[TagSet, ...] = ()
    digest_tags: bool | None = None
    referrers: bool | None = None
    platform: str = ""
    platforms: tuple[str, ...] = ()


class Defaults(_Model):
    """What holds for every entry that does not say otherwise."""

    digest_tags: bool = False
    referrers: bool = False


class Host(_Model):
    """An entry of `creds`. Its secrets are in no field: what is not read cannot be copied."""

    registry: str
    hostname: str = ""
    path_prefix: str = ""
    tls: Literal["", "enabled", "insecure", "disabled"] = Field("")


_SCHEDULE = ("a manifest has no clock", "run `toolkit apply` on a schedule of your pipeline")
_ALWAYS = ("every run compares all digests, at the cost of a HEAD request each", "nothing is to be done")
_LEFT = {
    "backup": (
        "an image whose tag moves stays in ECR without a tag",
        "set `expire_untagged_after_days` to how long you want it, or `tag_mutability: immutable`",
    ),
    "interval": _SCHEDULE,
    "schedule": _SCHEDULE,
    "ratelimit": ("the plan counts the pulls that it costs", "use `--on-budget wait` or `--on-budget partial`"),
    "parallel": ("it is an option of a run", "use `--jobs`"),
    "hooks": ("a manifest runs no commands", "run them in your pipeline, after `toolkit apply`"),
    "mediaTypes": ("every image and index is copied as it is", "leave out what you do not want by `tags`"),
    "repos": ("it counts with `type: registry` only", "nothing is to be done"),
    "referrerFilters": ("referrers come along all together", "set `signatures: drop` to have none"),
    "referrerSource": ("referrers are read where the image is", "mirror that repository by an entry of its own"),
    "referrerTarget": ("referrers are written where the image is", "mirror that repository by an entry of its own"),
    "referrerSlow": ("referrers are found by the registry's API and by tags", "nothing is to be done"),
    "fastCheck": _ALWAYS,
    "forceRecursive": _ALWAYS,
    "includeExternal": ("layers of foreign hosts are not copied", "check that no build needs such a Windows base"),
    "blobLimit": ("the limit is fixed", "nothing is to be done"),
    "cacheCount": ("documents are cached on disk", "use `--cache-dir`"),
    "cacheTime": ("documents are cached by digest, which never expires", "use `--cache-dir`"),
    "skipDockerConfig": ("the docker configuration is always read", "set DOCKER_CONFIG to an empty folder for a run"),
    "userAgent": ("the toolkit names itself", "nothing is to be done"),
}
_SECRETS = ("user", "pass", "token", "credHelper", "credHost", "credExpire", "repoAuth")
_LEFT_OF_HOST = {
    "regcert": ("certificates belong to the machine", "name it in SSL_CERT_FILE"),
    "clientCert": ("client certificates are not supported", "reach that registry through a mirror"),
    "clientKey": ("client certificates are not supported", "reach that registry through a mirror"),
    "mirrors": ("it is a list of registries with the same images", "write it as `alternatives` of the registry"),
    "scheme": ("it is deprecated there", "use `tls: disabled` there and run again, or write `endpoint`"),
    **dict.fromkeys(
        ("priority", "api", "apiOpts", "blobChunk", "blobMax", "reqPerSec", "reqConcurrent"),
        ("requests are paced by what the registry answers", "use `--jobs` and `--limit-rate`"),
    ),
}
_UNKNOWN = ("regsync does not know it, so it had no effect", "nothing is to be done")
_ENV = re.compile(r"\{\{-?\s*env\s+[\"`]([^\"`]+)[\"`]\s*-?\}\}")
_NUMBER = r"(?P<version>v?[0-9]+(?:\.[0-9]+)*)(?:-.*)?"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an entry's images land: the repository if it is in the chosen registry, and the tag if it has another."""

    repository: str | None = None
    tag: str | None = None


def read_regsync(file: ForeignFile, environment: Mapping[str, str], region: str | None = None) -> Carried:
    """Carry over `file`.

    `environment` answers its `{{env "NAME"}}`. Of several targets in ECR, the first in `region` counts.
    """
    return _Reading(file, environment, region).read()


class _Reading:
    def __init__(self, file: ForeignFile, environment: Mapping[str, str], region: str | None) -> None:
        self._file = file
        self._environment = environment
        self._region = region
        self._remarks: list[Remark] = list(file.faults())
        self._elsewhere: dict[str, list[int]] = {}  # lines by registry
        self._chosen: str | None = None  # whose images are carried over, in words; None for all

    def read(self) -> Carried:
        defaults = self._parsed(Defaults, self._file.data.get("defaults") or {}, ("defaults",)) or Defaults()
        self._list_extra(defaults, ("defaults",), _LEFT)
        for key in self._file.data.keys() - {"version", "creds", "defaults", "sync"}:
            if not key.startswith("x-"):  # only a place for YAML anchors
                self._remarks.append(self._file.remark((key,), *_UNKNOWN))
        syncs = [(number, sync) for number, sync in self._list_of(SyncEntry, "sync") if self._is_known(number, sync)]
        registry, has_ecr = self._choose([sync.target for _, sync in syncs])
        if has_ecr:
            self._chosen = f"`{registry}`" if registry else f"the region `{self._region}`"
        images = [entry for number, sync in syncs for entry in self._entries(number, sync, defaults, registry)]
        sources = {Reference.parse(str(entry.fields["source"])).registry for entry in images}
        registries = dict(self._registries(sources))
        for host, lines in self._elsewhere.items():
            self._remarks.append(_elsewhere(self._file, host, lines, self._chosen))
        names = sorted({str(entry.fields["repository"]) for entry in images if "repository" in entry.fields})
        return Carried(
            where=self._file.name,
            images=[_without_default_name(entry) for entry in _grouped(images, self._file.name)],
            remarks=sorted(self._remarks, key=lambda remark: remark.line or 0),
            registries=registries,
            adopt=names,
            platforms="all",
            region=ecr_region(registry) if registry else None,
            account_id=registry.partition(".")[0] if registry else None,
        )

    # Models

    def _list_of(self, kind: type[Any], key: str) -> Iterator[tuple[int, Any]]:
        values = self._file.data.get(key) or []
        for number, value in enumerate(values if isinstance(values, list) else []):
            if (entry := self._parsed(kind, value, (key, number))) is not None:
                yield number, entry

    def _parsed(self, kind: type[Any], value: object, path: Path) -> Any:
        try:
            return kind.model_validate(value)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            at = (*path, *fault["loc"])
            reason = f"regsync takes something else here ({fault['msg'].lower()})"
            self._remarks.append(self._file.remark(at, reason, "correct the file and run again"))
            return None

    def _list_extra(self, model: BaseModel, path: Path, left: Mapping[str, tuple[str, str]]) -> None:
        self._list_others(model.model_extra or {}, path, left)

    def _list_others(self, values: Mapping[str, object], path: Path, left: Mapping[str, tuple[str, str]]) -> None:
        for key, value in values.items():
            if value not in (None, False, "", [], {}):
                self._remarks.append(self._file.remark((*path, key), *left.get(key, _UNKNOWN)))

    # Names

    def _is_known(self, number: int, sync: SyncEntry) -> bool:
        """Whether everything in the entry is known without running regsync."""
        unset = [name for name in _ENV.findall(f"{sync.source} {sync.target}") if not self._environment.get(name)]
        if sync.type == "registry":
            reason, instead = "repositories are named here, not listed from a registry", "write an entry for each"
        elif unset:
            reason = f"`{'` and `'.join(dict.fromkeys(unset))}` must come from the environment"
            instead = "set it as for regsync and run again"
        elif "{{" in _ENV.sub("", f"{sync.source} {sync.target}"):
            reason, instead = "its template is known only when regsync runs", "write the name out and run again"
        else:
            return True
        self._remarks.append(self._file.remark(("sync", number), reason, instead))
        return False

    def _expanded(self, text: str) -> str:
        return _ENV.sub(lambda found: self._environment[found[1]], text).strip()

    def _choose(self, targets: Sequence[str]) -> tuple[str | None, bool]:
        """The registry of ECR that the manifest is for, the first in the wanted region; and whether there is any."""
        references = (parsed(self._expanded(target)) for target in targets)
        hosts = [one.registry for one in references if one is not None and ecr_region(one.registry)]
        return next((host for host in hosts if self._region in (None, ecr_region(host))), None), bool(hosts)

    def _place(self, number: int, sync: SyncEntry, registry: str | None) -> _Place | None:
        """Where the entry's images land; None if they are not for this manifest."""
        target = parsed(self._expanded(sync.target))
        host = target.registry if target else self._expanded(sync.target).partition("/")[0]
        if target is None or host != registry:
            self._elsewhere.setdefault(host, []).append(self._file.line("sync", number))
            return _Place() if self._chosen is None else None
        return _Place(target.repository, (target.tag or "latest") if sync.type == "image" else None)

    # Entries

    def _entries(self, number: int, sync: SyncEntry, defaults: Defaults, registry: str | None) -> Iterator[Entry]:
        path: Path = ("sync", number)
        place = self._place(number, sync, registry)
        if place is None:
            return
        self._list_extra(sync, path, _LEFT)
        try:
            source = Reference.parse(self._expanded(sync.source))
        except OciError as error:
            instead = "name it as a repository of a registry"
            self._remarks.append(self._file.remark((*path, "source"), error.message, instead))
            return
        if sync.source.startswith("ocidir://"):
            self._remarks.append(self._file.remark(path, "a folder is no upstream", "use `toolkit copy oci:…`"))
            return
        common: dict[str, object] = {}
        if place.repository is not None:
            common["repository"] = place.repository
        if platforms := self._platforms(sync, path):
            common["platforms"] = platforms
        if self._keeps_signatures(sync, defaults, path):
            common["signatures"] = "keep"
        line = self._file.line(*path)
        tags = self._image(sync, source, place, path) if sync.type == "image" else self._tags(sync, source, path)
        for fields in tags:
            yield Entry({**fields, **common}, f"{self._file.name}:{line}", line)

    def _image(self, sync: SyncEntry, source: Reference, place: _Place, path: Path) -> Iterator[dict[str, object]]:
        for key in ("tags", "tagSets"):
            if sync.tags != TagSet() if key == "tags" else sync.tag_sets:
                reason = "it counts with `type: repository` only"
                self._remarks.append(self._file.remark((*path, key), reason, "nothing is to be done"))
        tag = source.tag or ((place.tag or _tag_of(sync.target)) if source.digest else "latest")
        fields: dict[str, object] = {"source": _named(source, tag)}
        if place.tag not in (None, tag):
            fields["tag_as"] = place.tag
        yield fields

    def _tags(self, sync: SyncEntry, source: Reference, path: Path) -> Iterator[dict[str, object]]:
        name = _named(source, None)
        sets = [((*path, "tagSets", number), one) for number, one in enumerate(sync.tag_sets)]
        if sync.tags != TagSet():
            sets.append(((*path, "tags"), sync.tags))
        if not sets:
            reason = "signatures (`sha256-….sig`) are not copied as tags"
            instead = "set `signatures: keep` if you need them"
            self._remarks.append(self._file.remark(path, reason, instead, is_carried=True))
            yield {"source": name, "tags": {"glob": "*"}}
        for at, one in sets:
            self._list_extra(one, at, {})
            try:
                yield from ({"source": name, "tags": tags} for tags in self._selections(one, at))
            except CannotSay as error:
                self._remarks.append(self._file.remark(at, str(error), "write the `tags` yourself"))

    def _selections(self, one: TagSet, path: Path) -> list[object]:
        allow, deny = [anchored(text) for text in one.allow], [anchored(text) for text in one.deny]
        if ranges := [text for text in one.semver_range if text]:
            extract = versions_extract(allow, deny, _NUMBER)
            reason = (
                "dates and build numbers are no versions, and a tag with a suffix counts as its number, "
                "where regsync takes it for older"
            )
            instead = "check what the first plan lists"
            made: list[object] = [{"versions": regclients(text), "extract": extract} for text in ranges]
            self._remarks.append(self._file.remark((*path, "semverRange"), reason, instead, is_carried=True))
            return made
        listed = literals(one.allow) if not deny else None
        return [list(listed) if listed else {"regex": selection(allow, deny)}]

    def _platforms(self, sync: SyncEntry, path: Path) -> list[str] | None:
        for key, chosen in (("platforms", list(sync.platforms)), ("platform", [sync.platform])):
            if any(chosen):
                reason = "an index of only these platforms is made, with a digest of its own"
                instead = "expect each image to be copied once more"
                self._remarks.append(self._file.remark((*path, key), reason, instead, is_carried=True))
                return chosen
        return None

    def _keeps_signatures(self, sync: SyncEntry, defaults: Defaults, path: Path) -> bool:
        digest_tags = defaults.digest_tags if sync.digest_tags is None else sync.digest_tags
        referrers = defaults.referrers if sync.referrers is None else sync.referrers
        if digest_tags != referrers:
            reason = "`signatures: keep` copies both, signatures in tags and referrers"
            key = "digestTags" if digest_tags else "referrers"
            instead = "set `signatures: drop` to have neither"
            self._remarks.append(self._file.remark((*path, key), reason, instead, is_carried=True))
        return digest_tags or referrers

    # Registries

    def _registries(self, sources: set[str]) -> Iterator[tuple[str, dict[str, object]]]:
        for number, host in self._list_of(Host, "creds"):
            path: Path = ("creds", number)
            name = self._expanded(host.registry) if not _is_unset(host.registry, self._environment) else host.registry
            asked = parsed(f"{name}/x")
            registry = asked.registry if asked else name
            if registry not in sources:
                reason = "no entry of the manifest reads from it"
                instead = "nothing is to be done: the toolkit signs in to ECR by the AWS credentials of the run"
                self._remarks.append(self._file.remark(path, reason, instead))
                continue
            others = dict(host.model_extra or {})
            secrets = [key for key in _SECRETS if others.pop(key, None)]
            if secrets:
                instead = f"`docker login {registry}`, or name a credential in `registries`: see `toolkit schema`"
                self._remarks.append(self._file.remark((*path, secrets[0]), "a manifest holds no secret", instead))
            self._list_others(others, path, _LEFT_OF_HOST)
            if host.tls == "insecure":
                reason, instead = "certificates are always checked", "name the registry's own in SSL_CERT_FILE"
                self._remarks.append(self._file.remark((*path, "tls"), reason, instead))
            if host.tls == "disabled" or host.hostname or host.path_prefix:
                scheme = "http" if host.tls == "disabled" else "https"
                at_host = host.hostname or registry
                below = f"/v2/{host.path_prefix.strip('/')}" if host.path_prefix else ""
                found: dict[str, object] = {"endpoint": f"{scheme}://{at_host}{below}"}
                if scheme == "http" and not is_loopback(at_host.partition(":")[0]):
                    found["insecure"] = True
                yield registry, found


def _is_unset(text: str, environment: Mapping[str, str]) -> bool:
    return any(not environment.get(name) for name in _ENV.findall(text))


def _tag_of(target: str) -> str:
    reference = parsed(target)
    return (reference.tag if reference else None) or "latest"


def _named(source: Reference, tag: str | None) -> str:
    """As people write it in a Dockerfile."""
    name = familiar(source.name) + (f":{tag}" if tag else "")
    return f"{name}@{source.digest}" if source.digest else name


def _elsewhere(file: ForeignFile, host: str, lines: Sequence[int], chosen: str | None) -> Remark:
    what = f"{host} (and {len(lines) - 1} more)" if len(lines) > 1 else host
    if chosen is None:
        reason, instead = "images go to ECR, under the manifest's own names", "change what pulls from there"
    elif ecr_region(host):
        reason = f"a manifest is for one account and region, and this one is for {chosen}"
        instead = "make another one from a copy of the file without the other targets"
    else:
        reason, instead = (
            f"a manifest fills ECR, and this one is for {chosen}",
            "use `toolkit copy` for other registries",
        )
    return Remark(file.name, lines[0], what, reason, instead, is_carried=chosen is None)


def _grouped(entries: Sequence[Entry], file: str) -> list[Entry]:
    """One entry for the tags of a source that have everything else in common."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        source = Reference.parse(str(entry.fields["source"]))
        is_plain = source.tag is not None and source.digest is None and "tag_as" not in entry.fields
        key = {**entry.fields, "source": str(source.name)} if is_plain else dict(entry.fields)
        groups.setdefault(repr(sorted(key.items(), key=lambda item: item[0])), []).append(entry)
    made = []
    for group in groups.values():
        sources = list(dict.fromkeys(str(entry.fields["source"]) for entry in group))
        first = group[0]
        lines = list(dict.fromkeys(entry.line for entry in group))
        origin = first.origin + (f" and {len(lines) - 1} more" if len(lines) > 1 else "")
        if len(sources) == 1:
            made.append(replace(first, origin=origin))
            continue
        tags = [source.rpartition(":")[2] for source in sources]
        fields = {"source": sources[0].rpartition(":")[0], "tags": tags}
        rest = {key: value for key, value in first.fields.items() if key != "source"}
        made.append(Entry({**fields, **rest}, origin, first.line))
    return made


def _without_default_name(entry: Entry) -> Entry:
    """The repository is said only where it is not called as the manifest would call it."""
    source = Reference.parse(str(entry.fields["source"]))
    if entry.fields.get("repository") != default_repository(source):
        return entry
    return replace(entry, fields={key: value for key, value in entry.fields.items() if key != "repository"})
