from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.made_images import MadeImage, image, index, push
from toolkit.oci.descriptor import Descriptor
from toolkit.oci.digest import Digest
from toolkit.oci.errors import DigestMismatch, LayoutUnusable, NotFound
from toolkit.oci.layout import Layouts
from toolkit.oci.layout_reference import LAYOUTS, LayoutReference, LayoutRepository

NAME = "org.opencontainers.image.ref.name"


@pytest.fixture
def layout(tmp_path: Path) -> LayoutRepository:
    return LayoutRepository(LAYOUTS, str(tmp_path / "carried"))


def put(made: MadeImage, reference: LayoutReference) -> MadeImage:
    push(Layouts(), made, reference)
    return made


def read_index(layout: LayoutRepository) -> dict[str, object]:
    return dict(json.loads((layout.folder / "index.json").read_text()))


def names(layout: LayoutRepository) -> list[str]:
    return [entry["annotations"][NAME] for entry in read_index(layout)["manifests"]]  # type: ignore[attr-defined]


def blob_file(layout: LayoutRepository, digest: Digest) -> Path:
    return layout.folder / "blobs" / "sha256" / digest.hex


def test_the_directory_is_what_the_specification_says(layout: LayoutRepository) -> None:
    made = put(image([b"layer"]), layout.with_tag("web:1"))
    assert json.loads((layout.folder / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    found = read_index(layout)
    assert found["schemaVersion"] == 2
    assert found["manifests"] == [
        {
            "mediaType": made.document.media_type,
            "digest": str(made.digest),
            "size": len(made.document.raw),
            "annotations": {NAME: "web:1"},
        }
    ]
    assert {file.name for file in (layout.folder / "blobs" / "sha256").iterdir()} == {
        digest.hex for digest in (made.digest, *made.blobs)
    }


def test_images_stand_side_by_side_and_share_their_layers(layout: LayoutRepository) -> None:
    first, second = image([b"shared", b"first"]), image([b"shared", b"second"])
    put(first, layout.with_tag("a"))
    put(second, layout.with_tag("b"))
    assert names(layout) == ["a", "b"]
    files = list((layout.folder / "blobs" / "sha256").iterdir())
    assert len(files) == len({first.digest, second.digest, *first.blobs, *second.blobs})


def test_a_name_moves_and_the_others_stay_as_they_were(layout: LayoutRepository) -> None:
    put(image([b"old"]), layout.with_tag("a"))
    foreign = {"mediaType": "application/x", "digest": str(Digest.of(b"?")), "size": 1, "x": [1]}
    found = read_index(layout)
    found["manifests"].append(foreign)  # type: ignore[attr-defined]
    found["annotations"] = {"their": "own"}
    (layout.folder / "index.json").write_text(json.dumps(found))
    new = put(image([b"new"]), layout.with_tag("a"))
    after = read_index(layout)
    assert foreign in after["manifests"]  # type: ignore[operator]
    assert after["annotations"] == {"their": "own"}
    assert Layouts().find(layout.with_tag("a")) == new.digest


def test_without_a_name_the_only_image_is_meant(layout: LayoutRepository) -> None:
    anonymous = LayoutReference(LAYOUTS, layout.path)
    made = put(image([b"only"]), layout.with_tag("a"))
    assert Layouts().find(anonymous) == made.digest
    put(image([b"another"]), layout.with_tag("b"))
    with pytest.raises(NotFound, match="holds 2 images; it has `a`, `b`"):
        Layouts().find(anonymous)


def test_an_image_that_is_not_there_is_answered_with_those_that_are(layout: LayoutRepository) -> None:
    put(image([b"layer"]), layout.with_tag("a"))
    with pytest.raises(NotFound, match="holds no image called `z`; it has `a`"):
        Layouts().find(layout.with_tag("z"))


def test_a_missing_directory_is_no_layout(layout: LayoutRepository) -> None:
    with pytest.raises(NotFound, match="is no image layout"):
        Layouts().find(layout.with_tag("a"))


@pytest.mark.parametrize(
    "damage",
    [
        {"index.json": "{"},
        {"index.json": '{"schemaVersion": 2}'},
        {
            "index.json": json.dumps(
                {"manifests": [{"digest": "sha256:../../x", "size": 1, "mediaType": "x", "annotations": {NAME: "a"}}]}
            )
        },
        {"oci-layout": '{"imageLayoutVersion": "9.0"}'},
        {"oci-layout": "no json"},
    ],
)
def test_a_damaged_layout_is_named(layout: LayoutRepository, damage: dict[str, str]) -> None:
    put(image([b"layer"]), layout.with_tag("a"))
    for name, text in damage.items():
        (layout.folder / name).write_text(text)
    with pytest.raises(LayoutUnusable, match=layout.path):
        Layouts().find(layout.with_tag("a"))


def test_files_that_are_no_layout_are_not_mixed_with_one(layout: LayoutRepository) -> None:
    layout.folder.mkdir()
    (layout.folder / "letter.txt").write_text("dear")
    with pytest.raises(LayoutUnusable, match="holds other files"):
        Layouts().begin_upload(layout, Digest.of(b"x"))
    assert [file.name for file in layout.folder.iterdir()] == ["letter.txt"]


def test_a_directory_that_cannot_be_written_is_named(layout: LayoutRepository) -> None:
    layout.folder.parent.joinpath("carried").write_text("a file")
    with pytest.raises(LayoutUnusable, match="not a directory"):
        Layouts().begin_upload(layout, Digest.of(b"x"))
    inside = LayoutRepository(LAYOUTS, f"{layout.path}/deeper")
    with pytest.raises(LayoutUnusable, match="cannot be used: Not a directory"):
        Layouts().begin_upload(inside, Digest.of(b"x"))


def test_other_content_under_a_digest_is_not_handed_out(layout: LayoutRepository) -> None:
    made = put(image([b"layer"]), layout.with_tag("a"))
    blob_file(layout, made.digest).write_bytes(b"{}")
    with pytest.raises(DigestMismatch):
        Layouts().get_manifest(layout.with_tag("a"))


def test_a_target_takes_an_image_that_lacks_something_for_absent(layout: LayoutRepository) -> None:
    child = image([b"one"])
    put(index(("linux/amd64", child), ("linux/arm64", image([b"two"], "linux/arm64"))), layout.with_tag("a"))
    target = Layouts(hides_partial=True)
    assert target.head_manifest(layout.with_tag("a")) is not None
    blob_file(layout, Digest.of(b"one")).unlink()
    assert target.head_manifest(layout.with_tag("a")) is None
    assert Layouts().head_manifest(layout.with_tag("a")) is not None
    blob_file(layout, Digest.of(b"one")).write_bytes(b"on")
    assert target.head_manifest(layout.with_tag("a")) is None
    with pytest.raises(LayoutUnusable, match="has 2 bytes, not 3"):
        target.put_manifest(layout.with_digest(child.digest), child.document)


def test_a_layer_of_another_layout_is_the_same_file(layout: LayoutRepository, tmp_path: Path) -> None:
    put(image([b"layer"]), layout.with_tag("a"))
    other = LayoutRepository(LAYOUTS, str(tmp_path / "other"))
    assert Layouts().begin_upload(other, Digest.of(b"layer"), mount_from=layout) is None
    assert blob_file(other, Digest.of(b"layer")).samefile(blob_file(layout, Digest.of(b"layer")))


def test_what_a_killed_process_left_is_removed_and_what_another_writes_is_not(layout: LayoutRepository) -> None:
    put(image([b"layer"]), layout.with_tag("a"))
    left = layout.folder / "blobs" / "sha256" / ".new-left"
    left.write_bytes(b"half")
    (layout.folder / ".new-index").write_bytes(b"half")
    content = b"first half, second half"
    blob = Descriptor("application/x", Digest.of(content), len(content))

    def chunks() -> Iterator[bytes]:
        yield content[:12]
        assert Layouts().begin_upload(layout, Digest.of(b"more")) is not None
        assert not left.exists() and not (layout.folder / ".new-index").exists()
        yield content[12:]

    upload = Layouts().begin_upload(layout, blob.digest)
    assert upload is not None
    left.write_bytes(b"half")
    Layouts().put_blob(upload, blob, chunks())
    assert blob_file(layout, blob.digest).read_bytes() == content
    assert not list(layout.folder.rglob(".new-*"))


def test_a_copy_killed_while_it_made_the_layout_is_no_obstacle(layout: LayoutRepository) -> None:
    (layout.folder / "blobs").mkdir(parents=True)
    for name in (".lock", "index.json", ".new-marker"):
        (layout.folder / name).write_text('{"schemaVersion": 2, "manifests": []}')
    put(image([b"layer"]), layout.with_tag("a"))
    assert names(layout) == ["a"]


def test_many_that_name_images_at_a_time_lose_none(layout: LayoutRepository) -> None:
    made = put(image([b"layer"]), layout.with_tag("first"))

    def name(number: int) -> None:
        for turn in range(10):
            Layouts().put_manifest(layout.with_tag(f"n{number}-{turn}"), made.document)

    threads = [threading.Thread(target=name, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names(layout)) == sorted(["first", *(f"n{n}-{t}" for n in range(4) for t in range(10))])


@pytest.mark.parametrize("name", ["blobs", "blobs/sha256", ".lock"])
def test_a_link_in_the_layout_is_refused_and_not_written_through(layout: LayoutRepository, name: str) -> None:
    elsewhere = layout.folder.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".new-0").write_text("theirs")
    (layout.folder / name).parent.mkdir(parents=True)
    (layout.folder / name).symlink_to(elsewhere)
    with pytest.raises(LayoutUnusable, match=r"it is a link \(`.*/carried/" + name):
        put(image([b"layer"]), layout.with_tag("web:1"))
    assert [file.name for file in elsewhere.rglob("*")] == [".new-0"]


def test_a_linked_blob_is_replaced_and_its_target_stays(layout: LayoutRepository) -> None:
    made = image([b"layer"])
    put(image([b"other"]), layout.with_tag("other:1"))
    victim = layout.folder.parent / "victim"
    victim.write_text("theirs")
    for digest in (made.digest, *made.blobs):
        blob_file(layout, digest).unlink(missing_ok=True)
        blob_file(layout, digest).symlink_to(victim)
    put(made, layout.with_tag("web:1"))
    assert victim.read_text() == "theirs"
    assert not any(file.is_symlink() for file in layout.folder.rglob("*"))


def test_a_layout_may_be_reached_over_a_link_of_the_user(layout: LayoutRepository) -> None:
    layout.folder.mkdir()
    link = layout.folder.parent / "link"
    link.symlink_to(layout.folder)
    put(image([b"layer"]), LayoutRepository(LAYOUTS, str(link)).with_tag("web:1"))
    assert names(layout) == ["web:1"]
