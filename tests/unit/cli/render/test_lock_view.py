"""What became of a lock, in each view."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support.lock_samples import CHANGES, digest, short
from toolkit.cli.render.lock_view import render_lock, render_lock_markdown, say_lock
from toolkit.cli.render.result import Look, Result, render, result_document
from toolkit.cli.render.serialise import read_result
from toolkit.report import LockAction


def test_shows_what_moved_what_waits_and_what_stands_still_and_counts_the_rest() -> None:
    assert (
        render_lock(CHANGES)
        == f"""\
Admitted
  + hub/nginx:1.27  {short("old")} -> {short("new")}
    `{short("new")}` is admitted: seen for 3d
    `{short("newer")}` waits: seen for 1d of 3d
    used by api, web

Begun with what ECR has
  < hub/begun:1  (none) -> {short("ecr")}

Removed
  - hub/left:1  {short("left")} -> (none)

Not reached upstream
  ? hub/gone:1  {short("gone")}
    `gone:1` does not exist upstream

Held
  | hub/held:1  {short("held")}
    it is held until 2026-12-09 06:00: broken on arm

Waiting
  ~ hub/young:1  {short("young")}, {short("newest")} in 2d 4h
    {digest("newest")}

notice: `hub/nginx:1.27`: `1234` need not be 3d old: CVE-1 [lock.bypassed]
hint: look

Lock: 1 admitted, 1 begun with what ECR has, 1 removed, 1 not reached upstream, 1 held, 1 waiting, 3
unchanged. 1 document of signatures read. `images.lock.yaml` was written."""
    )


def test_tells_once_what_is_the_same_of_several_images() -> None:
    gone = next(image for image in CHANGES.images if image.fault)
    text = render_lock(replace(CHANGES, images=(gone, replace(gone, key="hub/other:1")), notices=()))
    assert text.startswith(f"""\
Not reached upstream
  ? hub/gone:1  {short("gone")}
  ? hub/other:1  {short("gone")}
    `gone:1` does not exist upstream

Lock: 2 not""")


def test_says_whether_the_lock_was_written() -> None:
    nothing = replace(CHANGES, images=CHANGES.images[-2:], signatures=0, is_written=False)
    assert say_lock(nothing) == "Lock: 2 unchanged. `images.lock.yaml` stays as it is."
    assert say_lock(replace(nothing, is_dry=True)).endswith("was not written, because this was a dry run.")


def test_has_a_comment_with_old_and_new_and_folds_what_stays() -> None:
    text = render_lock_markdown(CHANGES)
    assert text.startswith("<!-- toolkit:lock -->\nLock: 1 admitted,")
    assert f"| `hub/nginx:1.27` | `{short('old')} -> {short('new')}` | `api`, `web` |" in text
    assert "<details><summary>3 images unchanged</summary>" in text
    assert "`lock.bypassed` *Hint:* look" in text


def test_looks_the_same_after_it_was_read_from_its_json() -> None:
    result = Result("lock", 0, {"lock": CHANGES})
    read = read_result(json.dumps(result_document(result)).encode())
    assert read.values == result.values
    document = result_document(result)["lock"]
    assert (document["moves"], document["images"][0]["is_moved"], document["totals"]["nothing"]) == (True, True, 5)
    for form in ("text", "markdown", "html"):
        assert render(read, form, Look()) == render(result, form, Look())


def test_has_a_page_with_every_image_and_what_could_not_be_reached_first() -> None:
    page = render(Result("lock", 0, {"lock": CHANGES}), "html", Look()) or ""
    for image in CHANGES.images:
        assert image.key in page
    assert digest("newer") in page
    assert page.index("hub/gone:1: <code>gone:1</code> does not exist upstream") < page.index("From upstream to build")


def test_lets_no_text_break_out_of_its_view() -> None:
    hostile = "</script><u>\x1b[2J|`@all"
    image = replace(CHANGES.images[0], key=hostile, source=hostile, reasons=(hostile,), hold=hostile)
    changes = replace(CHANGES, file=hostile, images=(image, replace(image, action=LockAction.NOTHING)))
    assert "\x1b" not in render_lock(changes, colour=False)
    assert "<u>" not in render_lock_markdown(changes)
    assert "<u>" not in (render(Result("lock", 0, {"lock": changes}), "html", Look()) or "")


@pytest.mark.parametrize("action", LockAction)
@pytest.mark.parametrize("form", ["text", "markdown", "html", "json"])
def test_shows_every_action(action: LockAction, form: str) -> None:
    changes = replace(CHANGES, images=(replace(CHANGES.images[0], action=action),))
    shown = render(Result("rollback", 0, {"lock": changes}), form, Look())
    assert shown is None or "hub/nginx:1.27" in shown
