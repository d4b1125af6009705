from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.saved_plans import MANIFEST, S3, save
from toolkit.cli.apply_file import compare_manifest, new_folder
from toolkit.errors import Interrupted, ManifestUnusable, Refused, TerraformFailed
from toolkit.events import Event, NoticeGiven


@pytest.mark.parametrize("error", [None, Refused("plan.stale", "no")])
def test_the_folder_of_a_run_goes_with_it(error: Exception | None) -> None:
    try:
        with new_folder(lambda _: None) as folder:
            (folder / "toolkit.tfplan").write_text("secret")
            assert folder.stat().st_mode & 0o777 == 0o700
            if error:
                raise error
    except Refused as raised:
        assert raised is error
    assert not folder.exists()


@pytest.mark.parametrize(
    "error",
    [
        TerraformFailed("terraform.failed", "no"),
        Interrupted("interrupted", "stop"),
        KeyboardInterrupt(),
        Refused("state.locked", "no"),
    ],
)
def test_what_terraform_has_left_is_kept_and_its_place_is_said(error: BaseException) -> None:
    events: list[Event] = []
    with pytest.raises(type(error)), new_folder(events.append) as folder:
        (folder / "errored.tfstate").write_text("the only copy")
        raise error
    assert (folder / "errored.tfstate").exists()
    assert isinstance(events[0], NoticeGiven)
    assert f"`{folder}`" in events[0].message
    (folder / "errored.tfstate").unlink()
    folder.rmdir()


@pytest.mark.parametrize(
    ("there", "named", "merely_there"),
    [(MANIFEST + S3, None, []), (MANIFEST, Refused, ["plan.other_manifest"]), (None, ManifestUnusable, [])],
)
def test_a_manifest_that_is_named_has_to_be_the_plans(
    tmp_path: Path, there: str | None, named: type[Exception] | None, merely_there: list[str]
) -> None:
    saved = save(tmp_path / "plan.toolkit", tmp_path / "work", MANIFEST + S3)
    manifest = tmp_path / "images.yaml"
    if there is not None:
        manifest.write_text(there)
    events: list[Event] = []
    compare_manifest(events.append, saved, manifest, is_named=False)
    assert [event.code for event in events if isinstance(event, NoticeGiven)] == merely_there
    if named is None:
        compare_manifest(events.append, saved, manifest, is_named=True)
    else:
        with pytest.raises(named):
            compare_manifest(events.append, saved, manifest, is_named=True)
