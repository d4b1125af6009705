"""The directory that Terraform runs in: generated files, the modules, and Terraform's own files.

Generated files are listed in `.toolkit-files`, and only listed files are overwritten or removed. Other files that
Terraform would read are named in the plan, or refused. `.gitignore` lists the files of one machine. A local state is
not among them, so that it does not get lost unnoticed.

Plan, state and logs may hold secrets, so only the owner may read a new directory and the files that Terraform writes.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from toolkit.atomic_file import HALF_WRITTEN, write_atomically
from toolkit.errors import Refused
from toolkit.manifest.grammar import is_override
from toolkit.oci.local_files import make_own_folder, open_own, refuse_links
from toolkit.terraform.modules import MODULES, modules_folder
from toolkit.terraform.root_module import RootModule

_LISTING = ".toolkit-files"
# The files that Terraform and OpenTofu read: no hidden files, no editor's copies.
_READ = re.compile(r"[^.].*\.(tf|tofu|tfvars)(\.json)?")
_LOCK = ".toolkit-lock"
_GITIGNORE = "# Written by `toolkit`: what belongs to one machine.\n.terraform/\n.toolkit-lock\nlogs/\ntoolkit.tfplan\n"


@dataclass(frozen=True, slots=True)
class WorkDir:
    """A directory that Terraform runs in; it need not exist yet."""

    path: Path

    @property
    def plan_path(self) -> Path:
        """The file of Terraform's saved plan."""
        return self.path / "toolkit.tfplan"

    @property
    def logs_path(self) -> Path:
        """The folder with Terraform's output of the last runs."""
        return self.path / "logs"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for one run. Raises Refused when another run holds it."""
        with usable(self.path):
            _refuse_links(self.path)
            _refuse_foreign(self.path)
            make_own_folder(self.path)
            file = open_own(self.path / _LOCK)
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Refused(
                    "terraform.work_dir_busy",
                    f"another run is using `{self.path}`",
                    hint="wait for it to end, then run again",
                ) from error
            yield


def write(root_module: RootModule, path: Path) -> WorkDir:
    """Make `path` hold `root_module` and its modules; files that are already right are not touched.

    Each file is written atomically. Raises Refused if that would overwrite a file that is not ours.
    """
    files = {".gitignore": _GITIGNORE, **files_for(root_module)}
    with usable(path):
        _refuse_links(path)
        _refuse_foreign(path)
        path.mkdir(parents=True, exist_ok=True)
        _remove_half_written({(path / name).parent for name in files})
        before = _listed(path)
        for name, text in files.items():
            if name not in before and _text(path / name) not in (None, text):
                raise Refused(
                    "terraform.file_not_ours",
                    f"`{path / name}` was not written by `toolkit` and would be overwritten",
                    hint="move it away or rename it",
                )
        # List before writing, so that the next run knows the files of a killed run as ours.
        _write(path / _LISTING, _lines(before | set(files)))
        for name, text in files.items():
            _write(path / name, text)
        for name in before - set(files):
            _remove(path, name)
        _write(path / _LISTING, _lines(set(files)))
    return WorkDir(path)


def write_input(text: str, path: Path) -> None:
    """Write the input of the module `base-images` to the file `path`, atomically."""
    try:
        _write(path, text)
    except OSError as error:
        raise Refused(
            "terraform.file_unusable",
            f"the file `{path}` cannot be written: {error.strerror}",
            hint="make its folder writable, or name another file",
        ) from error


def refuse_foreign_files(work_dir: WorkDir) -> None:
    """Raise Refused if Terraform would read files that are not ours: planning alone can start programs they name."""
    found = _foreign_files(work_dir.path)
    for name in found:
        if is_override(name.rpartition("/")[2]):
            raise Refused(
                "terraform.override_file",
                f"`{work_dir.path / name}` would override what `toolkit` wrote",
                hint="move it away, and set the fields of the manifest instead",
            )
    if found:
        raise Refused(
            "terraform.extra_file",
            f"Terraform would also read `{'`, `'.join(found)}` in `{work_dir.path}`, which `toolkit` did not write",
            hint="move it away, or list it in `terraform.extra_files`",
        )


def _foreign_files(folder: Path) -> list[str]:
    """What Terraform reads in `folder` and its modules and is not ours; from `terraform.d` it installs providers."""
    ours = _listed(folder)
    files = [*folder.glob("*"), *(folder / "modules").rglob("*")]
    names = sorted(
        file.relative_to(folder).as_posix()
        for file in files
        if _READ.fullmatch(file.name) or file == folder / "terraform.d"
    )
    return [name for name in names if name not in ours]


def files_for(root_module: RootModule) -> Mapping[str, str]:
    """All files that Terraform reads in a directory with `root_module`: its own and those of the modules."""
    return {**root_module.files, **_module_files(root_module.overrides)}


def files_of(work_dir: WorkDir) -> Mapping[str, bytes]:
    """The current content of our files in the directory that Terraform reads."""
    names = (name for name in sorted(_listed(work_dir.path)) if not name.startswith("."))
    return {name: (work_dir.path / name).read_bytes() for name in names}


@contextmanager
def usable(path: Path) -> Iterator[None]:
    """Turn an OSError inside the block into Refused: the directory `path` cannot be used."""
    try:
        yield
    except OSError as error:
        raise Refused(
            "terraform.work_dir_unusable",
            f"the directory `{path}` cannot be used: {error.strerror}",
            hint="make it writable, or name another one",
        ) from error


def _refuse_links(path: Path) -> None:
    """Links would make us or Terraform write elsewhere. Only Terraform's own links to providers are accepted."""
    try:
        refuse_links(path)
    except OSError as error:
        raise _link(Path(error.filename)) from error
    for parent, folders, files in os.walk(path):
        for entry in (Path(parent) / name for name in (*folders, *files)):
            if entry.is_symlink():
                raise _link(entry)
        if Path(parent) == path / ".terraform":
            folders[:] = [name for name in folders if name != "providers"]


def _link(path: Path) -> Refused:
    return Refused(
        "terraform.work_dir_link",
        f"`{path}` is a link, and `toolkit` does not write through links",
        hint="remove it, or name another directory",
    )


def _refuse_foreign(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise Refused("terraform.work_dir_not_ours", f"`{path}` is not a directory", hint="name another one")
    if not path.is_dir() or (path / _LISTING).exists():
        return
    if any(entry.name != _LOCK and not entry.name.startswith(HALF_WRITTEN) for entry in path.iterdir()):
        raise Refused(
            "terraform.work_dir_not_ours",
            f"`{path}` holds files that `toolkit` did not write",
            hint="name an empty or a new directory",
        )


def _remove_half_written(folders: Iterable[Path]) -> None:
    """Remove the temporary files of a run that was killed."""
    for folder in folders:
        for file in folder.glob(f"{HALF_WRITTEN}*"):
            file.unlink()


def _module_files(overrides: Collection[str]) -> Mapping[str, str]:
    """The files of the modules, without tests and Terraform's own files, and with the `overrides` in place."""
    files = {}
    for module in MODULES:
        folder = modules_folder() / module
        for file in sorted(folder.rglob("*")):
            parts = file.relative_to(folder).parts
            if file.is_file() and parts[0] != "tests" and not any(part.startswith(".") for part in parts):
                files["/".join(("modules", module, *parts))] = file.read_text(encoding="utf-8")
    for override in overrides:
        module, _, name = override.split("/")
        files[f"modules/{module}/{name}"] = files[f"modules/{override}"]
    return files


def _listed(path: Path) -> set[str]:
    text = _text(path / _LISTING) or ""
    names = {line for line in text.splitlines() if line and not line.startswith("#")}
    return {name for name in names if not name.startswith("/") and ".." not in name.split("/")}


def _lines(names: set[str]) -> str:
    header = "# Written by `toolkit`, which removes these files when it no longer needs them.\n"
    return header + "".join(f"{name}\n" for name in sorted(names))


def _text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return None


def _write(path: Path, text: str) -> None:
    if _text(path) == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())


def _remove(folder: Path, name: str) -> None:
    """Remove a file of ours and the folders that become empty; a listed path outside of `folder` is ignored."""
    file = folder / name
    if not file.resolve().is_relative_to(folder.resolve()):
        return
    file.unlink(missing_ok=True)
    for parent in file.parents:
        if parent == folder or any(parent.iterdir()):
            return
        parent.rmdir()
