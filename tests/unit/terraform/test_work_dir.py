from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.terraform_samples import DESIRED
from toolkit.errors import Refused
from toolkit.manifest.grammar import OWN_FILES, check_extra_file
from toolkit.terraform.root_module import Adoption, RootModule, render
from toolkit.terraform.work_dir import WorkDir, files_of, refuse_foreign_files, write

ROOT = Path(__file__).parents[3]
ONE = RootModule({"main.tf": "# one\n", "buildspecs/web.yml": "version: 0.2\n"})


def _snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_the_root_module_is_written_with_its_modules_beside_it(tmp_path: Path) -> None:
    work_dir = write(render(DESIRED), tmp_path / "a" / "b")
    assert work_dir == WorkDir(tmp_path / "a" / "b")
    for file, text in render(DESIRED).files.items():
        assert (work_dir.path / file).read_text(encoding="utf-8") == text
    assert (work_dir.path / "modules/ecr-repository/main.tf").read_bytes() == (
        ROOT / "terraform_modules/ecr-repository/main.tf"
    ).read_bytes()
    assert not list(work_dir.path.glob("modules/*/tests"))
    assert not list(work_dir.path.rglob(".toolkit-new*"))


def test_a_file_for_newer_providers_is_beside_main_only_where_it_is_wanted(tmp_path: Path) -> None:
    wanted = replace(DESIRED.repositories[0], tag_mutability_exclusions=("latest",))
    override = tmp_path / "modules/ecr-repository/exclusions_override.tf"
    write(render(replace(DESIRED, repositories=(wanted,), builds=())), tmp_path)
    assert override.read_bytes() == (override.parent / "provider-6.8/exclusions_override.tf").read_bytes()
    write(render(DESIRED), tmp_path)
    assert not override.exists()


def test_writing_the_same_again_touches_nothing(tmp_path: Path) -> None:
    write(ONE, tmp_path)
    before = _snapshot(tmp_path)
    write(ONE, tmp_path)
    assert _snapshot(tmp_path) == before


def test_only_what_differs_is_written_anew(tmp_path: Path) -> None:
    write(ONE, tmp_path)
    before = _snapshot(tmp_path)
    write(RootModule({**ONE.files, "main.tf": "# two\n"}), tmp_path)
    after = _snapshot(tmp_path)
    assert {path for path in before if before[path] != after[path]} == {str(tmp_path / "main.tf")}
    assert (tmp_path / "main.tf").read_text() == "# two\n"


def test_what_is_no_longer_needed_goes_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    write(RootModule({**ONE.files, "imports.tf": "# x\n"}), tmp_path)
    theirs = ["notes.txt", "terraform.tfstate", ".terraform.lock.hcl", ".terraform/providers/x", "modules/own/main.tf"]
    for file in theirs:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("theirs")
    write(RootModule({"main.tf": "# one\n"}), tmp_path)
    assert not (tmp_path / "imports.tf").exists()
    assert not (tmp_path / "buildspecs").exists()
    assert [(tmp_path / file).read_text() for file in theirs] == ["theirs"] * len(theirs)


def test_a_run_that_was_killed_half_way_leaves_nothing_behind_for_ever(tmp_path: Path) -> None:
    write(ONE, tmp_path)
    listing = tmp_path / ".toolkit-files"
    # As after a kill between the listing and the files: named, and not there.
    listing.write_text(listing.read_text() + "imports.tf\nbuildspecs/gone.yml\n")
    (tmp_path / "imports.tf").write_text("half")
    (tmp_path / ".toolkit-new-1").write_text("ha")
    (tmp_path / "main.tf").unlink()
    write(ONE, tmp_path)
    assert not (tmp_path / "imports.tf").exists()
    assert not (tmp_path / ".toolkit-new-1").exists()
    assert "gone.yml" not in listing.read_text()


def test_a_run_that_was_killed_at_its_first_file_is_no_stranger(tmp_path: Path) -> None:
    (tmp_path / ".toolkit-new-1").write_text("ha")
    write(ONE, tmp_path)
    assert not (tmp_path / ".toolkit-new-1").exists()


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text("theirs")
    with pytest.raises(Refused) as refused:
        write(ONE, tmp_path)
    assert refused.value.code == "terraform.work_dir_not_ours"
    with pytest.raises(Refused), WorkDir(tmp_path).locked():
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["main.tf"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("theirs")
    for path in (tmp_path / "x", tmp_path / "x" / "y"):
        with pytest.raises(Refused, match="director"):
            write(ONE, path)
        with pytest.raises(Refused, match="director"), WorkDir(path).locked():
            pass


def test_a_file_of_the_users_in_our_folder_is_not_overwritten(tmp_path: Path) -> None:
    write(ONE, tmp_path)
    (tmp_path / "imports.tf").write_text("theirs")
    with pytest.raises(Refused) as refused:
        write(RootModule({**ONE.files, "main.tf": "# two\n", "imports.tf": "ours"}), tmp_path)
    assert refused.value.code == "terraform.file_not_ours"
    assert (tmp_path / "imports.tf").read_text() == "theirs"
    assert (tmp_path / "main.tf").read_text() == "# one\n"


def test_a_listing_that_points_outside_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("theirs")
    write(ONE, tmp_path / "dir")
    listing = tmp_path / "dir" / ".toolkit-files"
    listing.write_text(listing.read_text() + f"../outside\n{outside}\n")
    write(ONE, tmp_path / "dir")
    assert outside.exists()


def test_a_local_state_is_not_hidden_from_git(tmp_path: Path) -> None:
    write(ONE, tmp_path)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    for file in ("terraform.tfstate", "toolkit.tfplan", ".toolkit-lock", ".terraform/x", "logs/y"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("")
    shown = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "terraform.tfstate" in shown
    assert not {"toolkit.tfplan", ".toolkit-lock", ".terraform/x", "logs/y"} & set(shown)


def test_refuses_a_second_run_in_the_same_folder(tmp_path: Path) -> None:
    work_dir = WorkDir(tmp_path / "new")
    code = (
        "import sys; from pathlib import Path; from toolkit.terraform.work_dir import WorkDir\n"
        "with WorkDir(Path(sys.argv[1])).locked(): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(work_dir.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    ) as other:
        assert other.stdout and other.stdin
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Refused) as refused, work_dir.locked():
            pass
        assert refused.value.code == "terraform.work_dir_busy"
        other.kill()
    with work_dir.locked():
        write(ONE, work_dir.path)


def test_a_lock_alone_does_not_make_the_folder_ours(tmp_path: Path) -> None:
    with WorkDir(tmp_path).locked():
        pass
    (tmp_path / "notes.txt").write_text("theirs")
    with pytest.raises(Refused):
        write(ONE, tmp_path)


_names = st.dictionaries(
    st.from_regex(r"[a-c]{1,2}(/[a-c])?\.tf", fullmatch=True),
    st.text(st.characters(exclude_categories=("Cs",))),
    max_size=5,
)


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(_names, min_size=1, max_size=4))
def test_after_any_history_the_folder_holds_the_last_root_module(
    steps: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("history")
    for files in steps:
        write(RootModule(files), folder)
    found = {
        str(path.relative_to(folder)): path.read_bytes().decode()
        for path in folder.rglob("*.tf")
        if path.relative_to(folder).parts[0] != "modules"
    }
    assert found == steps[-1]


def _put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("theirs")


def test_what_terraform_would_read_besides_ours_is_refused(tmp_path: Path) -> None:
    work_dir = write(render(DESIRED), tmp_path)
    read = [
        "a.tofu",
        "a.tofu.json",
        "modules/ecr-repository/zz.tf",
        "modules/own/x.tf.json",
        "terraform.d",
        "terraform.tfvars",
        "x.tf",
        "z.auto.tfvars",
        "z.auto.tfvars.json",
    ]
    _put(tmp_path, ".hidden.tf", "x.tf~", "notes.txt", "below/x.tf", "terraform.tfstate")
    refuse_foreign_files(work_dir)
    _put(tmp_path, *read)
    with pytest.raises(Refused) as refused:
        refuse_foreign_files(work_dir)
    assert refused.value.code == "terraform.extra_file"
    assert f"`{'`, `'.join(read)}`" in refused.value.message


@pytest.mark.parametrize(
    "name",
    ["zz_override.tf", "override.tf", "override.tf.json", "_override.tofu", "modules/ecr-repository/x_override.tf"],
)
def test_a_file_that_overrides_ours_is_refused(tmp_path: Path, name: str) -> None:
    work_dir = write(render(DESIRED), tmp_path)
    _put(tmp_path, name)
    with pytest.raises(Refused) as refused:
        refuse_foreign_files(work_dir)
    assert refused.value.code == "terraform.override_file"
    assert name in refused.value.message


def test_wanted_extras_are_ours_and_go_with_the_wish(tmp_path: Path) -> None:
    work_dir = write(render(replace(DESIRED, extra_files={"alarms.tf": "# wanted\n"})), tmp_path)
    assert (tmp_path / "alarms.tf").read_text() == "# wanted\n"
    refuse_foreign_files(work_dir)
    write(render(DESIRED), tmp_path)
    assert not (tmp_path / "alarms.tf").exists()


def test_no_extra_file_can_take_the_place_of_a_generated_one() -> None:
    wanted = replace(DESIRED, replicate_to=("us-east-1",), prefix="mirror")
    everything = render(wanted, adopt=[Adoption("a.b", "c")], let_go=["a.b"], regions=["eu-north-1"]).files
    assert {name for name in everything if "/" not in name} - OWN_FILES == {"replicas-us-east-1.json"}
    for name in everything:
        with pytest.raises(ValueError, match="would take the place of"):
            check_extra_file(name)


@pytest.mark.parametrize(
    "name",
    [
        ".toolkit-lock",
        ".toolkit-files",
        ".terraform",
        ".terraform/toolkit-initialised",
        ".terraform/providers",
        "logs",
        "logs/running",
        "main.tf",
        "modules",
        "modules/ecr-repository",
        "terraform.tfstate",
        "terraform.tfstate.backup",
        "toolkit.tfplan",
    ],
)
@pytest.mark.parametrize("is_whole", [True, False])
def test_a_link_in_the_directory_is_refused_and_not_written_through(tmp_path: Path, name: str, is_whole: bool) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "work"
    victim.mkdir()
    (victim / "file").write_text("theirs")
    if is_whole:
        write(render(DESIRED), folder)
    link = folder / name
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.symlink_to(victim if "." not in name[1:] else victim / "file")
    for use in (lambda: WorkDir(folder).locked().__enter__(), lambda: write(render(DESIRED), folder)):
        with pytest.raises(Refused) as refused:
            use()
        assert (refused.value.code, f"`{link}` is a link" in refused.value.message) == ("terraform.work_dir_link", True)
    assert [(file.name, file.read_text()) for file in victim.iterdir()] == [("file", "theirs")]


@pytest.mark.parametrize("link", ["work", "work/a"])
def test_a_directory_that_is_a_link_of_the_tree_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "tree" / link).parent.mkdir(parents=True)
    (tmp_path / "tree" / link).symlink_to(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path / "tree")
    with pytest.raises(Refused, match=f"`.*{link}` is a link"), WorkDir(Path("work/a/b")).locked():
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_links_that_terraform_makes_to_its_providers_are_no_matter(tmp_path: Path) -> None:
    folder = write(ONE, tmp_path / "work").path
    (folder / ".terraform/providers/aws").mkdir(parents=True)
    (folder / ".terraform/providers/aws/linux_amd64").symlink_to(tmp_path)
    with WorkDir(folder).locked():
        write(ONE, folder)


def test_ignores_listed_files_outside_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("theirs")
    work_dir = write(ONE, tmp_path / "work")
    listing = work_dir.path / ".toolkit-files"
    listing.write_text(f"{listing.read_text()}../secret\n{tmp_path}/secret\n")
    assert not [name for name in files_of(work_dir) if "secret" in name]
    write(ONE, work_dir.path)
    assert (tmp_path / "secret").read_text() == "theirs"


def test_a_new_directory_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with WorkDir(tmp_path / "a" / "work").locked():
            write(ONE, tmp_path / "a" / "work")
    finally:
        os.umask(before)
    assert (tmp_path / "a" / "work").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "work" / ".toolkit-lock").stat().st_mode & 0o777 == 0o600
