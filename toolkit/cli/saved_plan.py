"""A reviewed plan on its way from `toolkit plan --out FILE` to `toolkit apply FILE`, to another machine if need be.

The file has all that an apply needs: our plan, Terraform's, the files that Terraform read, the provider's lock file,
and the manifest that all of it was made from. Each part is compared with the others. The manifest is resolved again,
and it must ask for every image of the plan. It is rendered again, and the files must be the same, except for blocks
that import into the state or remove from it. Terraform's plan must have been made for exactly these files.
`operations.apply`, which may start the provider, compares the changes in Terraform's plan with those in ours.

A plan in S3, beside which its shards put their results, is without Terraform's plan: that holds values of the state,
which no shard needs and the role of a shard must not read.

Nothing in the file proves the pinned digests and the manifest itself. They were reviewed, and a signature
(`TOOLKIT_PLAN_KEY`) proves that they have not changed since.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from toolkit import __version__
from toolkit.atomic_file import write_atomically
from toolkit.cli import sealed_archive
from toolkit.cli.checkout import Checkout, find_checkout
from toolkit.cli.outputs import why_unwritable
from toolkit.cli.render.result import Result
from toolkit.cli.render.serialise import first_fault, plan_from_json, plan_to_json
from toolkit.cli.saved_result import parse_saved_result
from toolkit.cli.sealed_archive import MOST_BYTES
from toolkit.errors import PLAN_AGAIN, ManifestUnusable, Refused, UsageError
from toolkit.events import Emit, NoticeGiven
from toolkit.operations.load import desired_of
from toolkit.plan.desired import Desired
from toolkit.plan.model import Plan
from toolkit.plan.saved_plan import misfits, refuse_misfits, secret_looking
from toolkit.plan.shards import division_misfits
from toolkit.report import SavedFile
from toolkit.terraform.plan_contents import PlanContents, config_misfits, read_contents
from toolkit.terraform.provider_lock import LOCK_FILE, locked_providers
from toolkit.terraform.root_module import LEFT_REGIONS, RootModule, render
from toolkit.terraform.state import read_local_state
from toolkit.terraform.work_dir import files_for, files_of, usable, write

if TYPE_CHECKING:
    from toolkit.aws.object_folder import ObjectFolder
    from toolkit.operations.plan import Planned

KEY_VARIABLE = "TOOLKIT_PLAN_KEY"
_SHORTEST_KEY = 16
_SCHEMA_VERSION = 4
_MOST_NAMED = 8
_ABOUT, _PLAN, _MANIFEST = "about.json", "plan.json", "manifest.yaml"
_TERRAFORM_PLAN, _PROVIDER_LOCK, _MODULE = "terraform.tfplan", "terraform.lock.hcl", "module/"
_PLAN_OBJECT, _RESULTS = "plan.toolkit", "results/"
_IN_S3 = re.compile(r"s3://(?P<bucket>[^/]+)/(?P<folder>(?:.+/)?)(?P<name>[^/]+)")
_BY_DIGEST = re.compile(r"(?:.*/)?(?P<digest>[0-9a-f]{64})/")
"""A folder that is named by the digest of its plan."""
# A plan may add blocks by which a resource enters or leaves the state. They hold no expressions.
_ADOPTING = re.compile(
    r"(#.*|(import|moved|removed) \{|  lifecycle \{|    destroy = (true|false)|  (to|from) += [^\s(){}$%]+"
    r'|  id = "[^"$%]*"|\s*\}|)'
)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a plan was made from, the manifest's text and its checkout, and the key that signs the file."""

    manifest: str
    checkout: Checkout | None = None
    key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class About:
    """How the plan was made. `work_dir` is set where the state is a file in there."""

    schema_version: int
    toolkit_version: str
    terraform_version: str
    providers: Mapping[str, str]
    work_dir: str | None
    checkout: Checkout | None


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan that was read from `path` and fits together.

    `files` are what Terraform reads, by path. `terraform_plan` is empty where the file has only what shards need.
    `members` are all other parts, and `digest` is theirs, by which results say which plan they are of.
    """

    path: str
    plan: Plan
    about: About
    manifest: str
    desired: Desired
    files: Mapping[str, bytes]
    terraform_plan: bytes
    members: Mapping[str, bytes]
    is_signed: bool
    is_verified: bool
    digest: str

    @property
    def file(self) -> SavedFile:
        """What the file says besides its plan."""
        checkout = self.about.checkout
        return SavedFile(
            file=self.path,
            toolkit_version=self.about.toolkit_version,
            terraform_version=self.about.terraform_version,
            providers=self.about.providers,
            commit=checkout.commit if checkout else None,
            changed=tuple(checkout.changed) if checkout else (),
            is_signed=self.is_signed,
            is_verified=self.is_verified,
        )


def plan_key(environment: Mapping[str, str]) -> bytes | None:
    """The key that signs; None where none is set. Raises UsageError for an empty or a short one."""
    text = environment.get(KEY_VARIABLE)
    if text is None:
        return None
    if len(text) < _SHORTEST_KEY:
        # A pipeline that has lost its secret sets an empty one, which must not switch the check off.
        what = f"has {len(text)} characters, and a key has at least {_SHORTEST_KEY}" if text else "is set and empty"
        raise UsageError(
            "usage.plan_key", f"`{KEY_VARIABLE}` {what}", hint="make one with `openssl rand -hex 32`, or unset it"
        )
    return text.encode("utf-8", "surrogateescape")


def prepare(
    path: Path, manifest: Path, text: str, ours: Iterable[Path | None], environment: Mapping[str, str] = os.environ
) -> Origin:
    """The origin of a plan that is about to be made from the manifest `text` and saved in `path`.

    The folders `ours` do not count as changes of the checkout. Raises Refused if `path` cannot be written.
    """
    if why := why_unwritable(path):
        raise _unwritable(path, why)
    ignored = [path, Path(".toolkit"), *(folder for folder in ours if folder)]
    return Origin(text, find_checkout(manifest, text, ignored=ignored), plan_key(environment))


def write_plan(path: Path, planned: Planned, desired: Desired, origin: Origin) -> SavedPlan:
    """Write the plan to `path`, whole or not at all. Raises Refused if it cannot be written, or could not be read."""
    work_dir = planned.plan_file.work_dir
    try:
        terraform_plan = planned.plan_file.path.read_bytes()
        provider_lock = (work_dir.path / LOCK_FILE).read_bytes()
        files = files_of(work_dir)
    except OSError as error:
        raise Refused(
            "terraform.work_dir_unusable",
            f"`{error.filename}` cannot be read: {error.strerror}",
            hint="make it readable, or name another folder with --work-dir",
        ) from error
    about = About(
        schema_version=_SCHEMA_VERSION,
        toolkit_version=__version__,
        terraform_version=read_contents(terraform_plan).terraform_version,
        providers=locked_providers(provider_lock.decode("utf-8", "replace")),
        work_dir=None if desired.backend else str(work_dir.path.resolve()),
        checkout=origin.checkout,
    )
    members = {
        _ABOUT: TypeAdapter(About).dump_json(about, indent=2),
        _PLAN: plan_to_json(planned.plan),
        _MANIFEST: origin.manifest.encode(),
        _TERRAFORM_PLAN: terraform_plan,
        _PROVIDER_LOCK: provider_lock,
        **{f"{_MODULE}{name}": content for name, content in files.items()},
    }
    is_signed = origin.key is not None
    saved = _fitted(str(path), sealed_archive.SealedArchive(members, is_signed, is_signed))
    try:
        sealed_archive.write(path, members, origin.key)
    except OSError as error:
        raise _unwritable(path, error.strerror) from error
    return saved


def save_plan(emit: Emit, path: Path, planned: Planned, desired: Desired, origin: Origin) -> None:
    """Write the plan to `path`, and name what in it may be secret."""
    if notice := confidential_notice(write_plan(path, planned, desired, origin)):
        emit(notice)


def confidential_notice(saved: SavedPlan) -> NoticeGiven | None:
    """A notice that names what may be secret in the file; None if nothing is."""
    state = read_contents(saved.terraform_plan).sensitive
    changes = [
        f"{change.address}.{one.path}"
        for change in (*saved.plan.infra_changes, *saved.plan.drift)
        for one in change.changes
        if one.is_sensitive
    ]
    values = [f"`{name}`" for name in dict.fromkeys((*state, *changes))]
    found = [*secret_looking(saved.desired), *values]
    if not found:
        return None
    shown = ", ".join(found[:_MOST_NAMED]) + (f" and {len(found) - _MOST_NAMED} more" if found[_MOST_NAMED:] else "")
    return NoticeGiven(
        "plan.confidential",
        f"`{saved.path}` has values in it that may be secret: {shown}",
        hint="show it to nobody who may not read Terraform's state, and let it expire soon",
    )


def read_plan(place: Path | str, environment: Mapping[str, str] = os.environ) -> SavedPlan:
    """The plan in a file or in S3. Raises Refused unless it is complete, for this version, and its parts fit together.

    A folder in S3 with the name of a digest may have no other plan.
    """
    key, path = plan_key(environment), str(place)
    if not is_in_s3(place):
        return _fitted(path, sealed_archive.read(Path(place), key))
    parts = _parts_of(path)
    content = _folder_of(path).read(parts["name"], MOST_BYTES + 1)
    if content is None:
        raise Refused("plan.unreadable", f"the plan `{path}` cannot be read: it does not exist")
    saved = _fitted(path, sealed_archive.unseal(path, content, key))
    if (named := _BY_DIGEST.fullmatch(parts["folder"])) and named["digest"] != saved.digest:
        raise Refused("plan.other_digest", f"`{path}` is another plan than its folder says", hint=PLAN_AGAIN)
    return saved


def is_in_s3(place: Path | str) -> bool:
    """Whether the place of a plan is an object in S3."""
    return isinstance(place, str) and place.startswith("s3://")


def _parts_of(place: str) -> re.Match[str]:
    if found := _IN_S3.fullmatch(place):
        return found
    raise UsageError("usage.plan", f"`{place}` is no object in S3", hint="write `s3://BUCKET/FOLDER/plan.toolkit`")


def _folder_of(place: str) -> ObjectFolder:
    """The folder in S3 that the plan at `place` is in."""
    from toolkit.cli.wiring import open_folder

    parts = _parts_of(place)
    return open_folder(parts["bucket"], parts["folder"])


def place_for_shards(saved: SavedPlan, folder: str) -> str:
    """Where shards find the plan, below a `folder` in S3."""
    return f"{folder}/{saved.digest}/{_PLAN_OBJECT}"


def put_shard_plan(saved: SavedPlan, place: str, environment: Mapping[str, str] = os.environ) -> None:
    """Put what shards need of the plan at its `place` in S3, and empty what earlier shards have put beside it.

    Otherwise, the result of a shard that does not even begin would be an older one.
    """
    folder = _folder_of(place)
    folder.put(_PLAN_OBJECT, sealed_archive.seal(saved.members, plan_key(environment)))
    for shard in saved.plan.division.shards if saved.plan.division else ():
        folder.put(f"{_RESULTS}{shard.number}.json", b"")


def keep_result(place: str, shard: int) -> Callable[[str], None]:
    """Puts the JSON of a shard's result beside the plan in S3."""
    folder = _folder_of(place)
    return lambda text: folder.put(f"{_RESULTS}{shard}.json", text.encode())


def kept_results(place: str, shards: int) -> Mapping[str, Result]:
    """The results that are beside the plan in S3, by name."""
    folder = _folder_of(place)
    names = [f"{_RESULTS}{number}.json" for number in range(1, shards + 1)]
    contents = {name: folder.read(name, MOST_BYTES) for name in names}
    return {name: parse_saved_result(name, content) for name, content in contents.items() if content}


def _fitted(path: str, archive: sealed_archive.SealedArchive) -> SavedPlan:
    members = {name: content for name, content in archive.members.items() if name != _TERRAFORM_PLAN}
    terraform_plan = archive.members.get(_TERRAFORM_PLAN, b"")
    lacking = {_ABOUT, _PLAN, _MANIFEST, _PROVIDER_LOCK} - members.keys()
    if lacking:
        raise Refused("plan.unreadable", f"the plan `{path}` has no `{min(lacking)}`", hint=PLAN_AGAIN)
    about = _read_about(path, members[_ABOUT])
    try:
        plan = plan_from_json(members[_PLAN])
    except ValueError as error:
        raise Refused("plan.unreadable", f"the plan in `{path}` cannot be used: {error}", hint=PLAN_AGAIN) from error
    files = {name.removeprefix(_MODULE): content for name, content in members.items() if name.startswith(_MODULE)}
    text, desired = _read_manifest(path, members[_MANIFEST], files)
    made_of = desired.emptied() if plan.is_destroy else desired
    refuse_misfits(f"`{path}`", [*misfits(made_of, plan), *_file_misfits(made_of, files, about)])
    refuse_misfits(f"`{path}`", division_misfits(plan, desired.put_image_per_second))
    if terraform_plan:
        refuse_misfits(f"`{path}`", config_misfits(read_contents(terraform_plan), files))
    return SavedPlan(
        path=path,
        plan=plan,
        about=about,
        manifest=text,
        desired=desired,
        files=files,
        terraform_plan=terraform_plan,
        members=members,
        is_signed=archive.is_signed,
        is_verified=archive.is_verified,
        digest=sealed_archive.digest_of(members),
    )


def _read_about(path: str, content: bytes) -> About:
    try:
        about = TypeAdapter(About).validate_json(content, strict=True)
    except ValidationError as error:
        message = f"`{path}` is not a saved plan: `{_ABOUT}`: {first_fault(error)}"
        raise Refused("plan.unreadable", message, hint=PLAN_AGAIN) from error
    if about.schema_version != _SCHEMA_VERSION or _line_of(about.toolkit_version) != _line_of(__version__):
        raise _other_version(path, about.toolkit_version)
    return about


def _other_version(path: str, version: str) -> Refused:
    return Refused(
        "plan.other_version",
        f"the plan `{path}` was made by toolkit {version}, this is {__version__}",
        hint=f"use toolkit {version}, or plan again with this one",
    )


def _line_of(version: str) -> list[str]:
    """What versions that read each other's plans have in common: the major version, before 1.0 the minor one too."""
    parts = version.split(".")
    return parts[:2] if parts[0] == "0" else parts[:1]


def _read_manifest(path: str, content: bytes, files: Mapping[str, bytes]) -> tuple[str, Desired]:
    try:
        text = content.decode()
        return text, desired_of(text, Path(_MANIFEST), extra_files=files)
    except (ManifestUnusable, UnicodeDecodeError) as error:
        why = f": {error.issues[0]}" if isinstance(error, ManifestUnusable) and error.issues else ""
        raise Refused("plan.misfit", f"the manifest in `{path}` cannot be used{why}", hint=PLAN_AGAIN) from error


def _file_misfits(desired: Desired, files: Mapping[str, bytes], about: About) -> Iterable[str]:
    """Sentences on the files for Terraform that do not come from the manifest."""
    wanted = {name: text.encode() for name, text in files_for(render(desired)).items()}
    for name in sorted(wanted.keys() | files.keys()):
        if name in wanted and files.get(name) != wanted[name]:
            other = "" if about.toolkit_version == __version__ else f", nor what toolkit {__version__} makes of it"
            yield f"`{name}` is not what the manifest gives{other}"
        elif name not in wanted and not _only_adopts(name, files[name]) and not _is_left(name, files[name], desired):
            yield f"`{name}` does not come of the manifest"


def _is_left(name: str, content: bytes, desired: Desired) -> bool:
    """Whether the file has exactly the providers of other regions, for replicas that leave the state."""
    regions = re.findall(r'^  region +=\s"([a-z0-9-]+)"$', content.decode(errors="replace"), re.MULTILINE)
    files = render(desired, regions=regions).files
    return name == LEFT_REGIONS and files.get(name, "").encode() == content


def _only_adopts(name: str, content: bytes) -> bool:
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError:
        return False
    return "/" not in name and name.endswith(".tf") and all(map(_ADOPTING.fullmatch, lines))


def refuse_other_commit(saved: SavedPlan, commit: str) -> None:
    """Raise Refused unless the plan was made from exactly what is in `commit`."""
    checkout = saved.about.checkout
    hint = f"plan again in a clean checkout of `{commit}`"
    if checkout is None:
        raise Refused("plan.other_commit", f"the plan `{saved.path}` was not made in a Git checkout", hint=hint)
    if checkout.commit != commit.lower():
        raise Refused("plan.other_commit", f"the plan `{saved.path}` is of commit `{checkout.commit}`", hint=hint)
    if checkout.changed:
        raise Refused(
            "plan.other_commit",
            f"the plan `{saved.path}` was made with changes that are in no commit: `{'`, `'.join(checkout.changed)}`",
            hint=hint,
        )


def refuse_other_terraform(saved: SavedPlan, version: str) -> None:
    """Raise Refused if this version of Terraform would not accept the plan."""
    if version != saved.about.terraform_version:
        raise Refused(
            "plan.other_terraform",
            f"the plan `{saved.path}` was made by Terraform {saved.about.terraform_version}, this is {version}",
            hint="name the other with --terraform-bin, or plan again",
        )


def unpack(saved: SavedPlan, work_path: Path) -> Planned:
    """Unpack the plan in `work_path`, readable only for its owner, so that it can be applied there.

    A state that is a file is not part of a saved plan. Raises Refused if `work_path` does not have it.
    """
    from toolkit.operations.plan import Planned
    from toolkit.terraform.runner import PlanFile

    if not saved.terraform_plan:
        raise Refused(
            "plan.without_terraform",
            f"the plan `{saved.path}` has only what shards need, and not Terraform's plan",
            hint="name a shard with --shard, or apply the file that `toolkit plan --out` wrote",
        )
    contents = read_contents(saved.terraform_plan)
    if saved.desired.backend is None and str(work_path.resolve()) != saved.about.work_dir:
        _refuse_other_state(saved, contents, work_path)
    work_dir = write(RootModule({name: content.decode() for name, content in saved.files.items()}), work_path)
    places = {LOCK_FILE: saved.members[_PROVIDER_LOCK], work_dir.plan_path.name: saved.terraform_plan}
    with usable(work_path):
        for name, content in places.items():
            write_atomically(work_path / name, content, mode=0o600)
        for name in saved.files:
            (work_path / name).chmod(0o600)
            for folder in list((work_path / name).parents)[: len(Path(name).parts) - 1]:
                folder.chmod(0o700)
    return Planned(saved.plan, PlanFile(work_dir.plan_path, work_dir, saved.plan.infra_changes))


def _refuse_other_state(saved: SavedPlan, contents: PlanContents, work_path: Path) -> None:
    state = read_local_state(work_path, saved.desired.workspace)
    if not state or not state.lineage or state.lineage != contents.state.lineage:
        raise Refused(
            "plan.local_state",
            f"the plan `{saved.path}` changes a state that is a file in `{saved.about.work_dir}`, which "
            f"`{work_path.resolve()}` does not have",
            hint="apply it there (--work-dir), or keep the state in S3 (`terraform.backend.s3`) and plan again",
        )


def _unwritable(path: Path, why: str | None) -> Refused:
    return Refused("plan.unwritable", f"the plan cannot be written to `{path}`: {why}")
