from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings

from tests.docs.result_samples import RESULTS
from tests.support import page_samples, plan_samples
from toolkit.cli.render.html import render_html
from toolkit.cli.render.picture import Column, Flow, draw
from toolkit.cli.render.plan_markdown import render_plan_markdown
from toolkit.cli.render.result import Result
from toolkit.plan.model import AttributeChange, InfraAction, InfraChange, Plan
from toolkit.report import CheckState, Finding

PLAN = page_samples.reviewed()


class Elements(HTMLParser):
    """The elements of a page, and the texts that follow a start tag of each kind."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found:
            self.texts.setdefault(self.found[-1][0], []).append(data)

    def text(self) -> str:
        return "".join(text for tag, texts in self.texts.items() if tag != "script" for text in texts)


def page_of(plan: Plan, **fields: Any) -> str:
    return page_samples.page(page_samples.plan_result(plan, **fields))


def test_begins_with_the_sentence_of_the_comment() -> None:
    heading = Elements(page_of(PLAN)).texts["h1"][0]
    assert heading in render_plan_markdown(PLAN)


def test_allows_its_own_script_and_style_by_hash_and_nothing_else() -> None:
    page = page_of(PLAN)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        text = page[page.index(f"<{tag}>") + len(tag) + 2 : page.rindex(f"</{tag}>")]
        assert f"{directive} 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}';" in policy
    assert {"default-src 'none'", "base-uri 'none'", "form-action 'none'"} <= {one.strip() for one in policy.split(";")}
    assert not re.search(r"unsafe|https?:|\*", policy)


@pytest.mark.parametrize(
    "result", [page_samples.plan_result(PLAN), page_samples.failed_apply(), page_samples.hostile()]
)
def test_has_no_inline_handler_no_style_attribute_and_each_anchor_once(result: dict[str, Any]) -> None:
    elements = Elements(page_samples.page(result)).found
    attributes = {name for _, found in elements for name in found}
    assert not any(name == "style" or name.startswith("on") for name in attributes)
    ids = Counter(found["id"] for _, found in elements if "id" in found)
    assert [name for name, count in ids.items() if count > 1] == []
    addresses = [found[name] or "" for _, found in elements for name in ("href", "src") if name in found]
    assert all(address.startswith("#") for address in addresses)


@settings(max_examples=30, deadline=None)
@given(plan_samples.plans)
def test_takes_any_plan_and_carries_its_json(plan: Plan) -> None:
    result = page_samples.plan_result(plan)
    page = page_samples.page(result)
    data = page[page.index('id="_result">') + len('id="_result">') :].partition("</script>")[0]
    assert json.loads(data) == json.loads(json.dumps(result))
    assert not re.search("[<>&]", data)


def test_says_that_all_is_well_only_of_what_was_looked_at() -> None:
    calm = "Nothing is destroyed"
    assert calm in page_of(plan_samples.NO_CHANGES)
    assert calm not in page_of(PLAN)
    partly = page_of(replace(plan_samples.NO_CHANGES, covers_infra=False))
    assert calm not in partly
    assert "The infrastructure was not looked at;" in partly


@pytest.mark.parametrize(
    ("result", "word"),
    [
        (page_samples.plan_result(plan_samples.NO_CHANGES), "No changes"),
        (page_samples.plan_result(plan_samples.EVERYTHING_NEW), "Changes"),
        (page_samples.plan_result(PLAN), "Look closely"),
        (page_samples.refused(), "Refused"),
        (page_samples.failed_apply(), "Not finished"),
    ],
)
def test_has_the_verdict_in_a_word(result: dict[str, Any], word: str) -> None:
    assert f"<title>{word}: " in page_samples.page(result)


def test_has_each_check_of_a_diagnosis_with_its_cure_and_what_failed_first() -> None:
    findings = (
        Finding("clock", CheckState.OK, "agrees \udcff"),
        Finding("registry", CheckState.FAILED, "no `x`", "sign in", "quay.io", "source.denied"),
    )
    page = render_html(Result("doctor", 4, {"diagnosis": findings}))
    assert "<h1>2 checks: 1 ok, 0 warnings, 1 failed, 0 skipped; nothing was changed.</h1>" in page
    for words in ("<title>Failed: ", "source.denied", "cure: sign in", "agrees \\udcff", ">Checks<"):
        assert words in page
    assert page.index("registry quay.io: no <code>x</code>") < page.index(">clock<")


def test_names_the_saved_plan_and_the_next_step() -> None:
    saved = RESULTS["saved_plan"].documents[-1]
    assert str(saved["commit"])[:8] in Elements(page_of(PLAN, saved_plan=saved)).text()
    assert "Run the same command again" in page_samples.page(page_samples.failed_apply())


def test_names_what_is_dangerous() -> None:
    page = page_of(plan_samples.CHANGED)
    dangers = page[page.index('id="_alarms"') : page.index('id="_picture"')]
    for text in ("base/python", "base/old: 3 images, 1.20 GB", "s3:* on *", "iam:PassRole", "nginx:1.16"):
        assert text in dangers


def test_hides_what_terraform_hides() -> None:
    page = page_of(PLAN)
    assert "sensitive, not shown" in page


@pytest.mark.parametrize("images", [1, 60, 300, 1000])
@pytest.mark.parametrize("changing", ["none", "all"])
def test_draws_few_boxes_and_lines_however_many_images(images: int, changing: str) -> None:
    words = {"move": "to move", "copy": "to copy", "keep": "unchanged"}
    state = {"none": lambda number: "keep", "all": lambda number: ("move", "copy")[number % 2]}[changing]
    flows = [
        Flow(
            f"registry-{number % 23}.example",
            f"team/{number // 2}",
            [f"build-{number % 41}", f"build-{number % 37}"],
            state(number),
            f"team/{number}:1",
        )
        for number in range(images)
    ]
    picture = draw(flows, words, [Column("a", "as"), Column("b", "bs"), Column("c", "cs")])
    assert picture is not None
    assert len(picture.lines) <= 72
    assert len(picture.boxes) <= 60
    places = [(box.x, box.y) for box in picture.boxes]
    assert len(set(places)) == len(places)
    assert all(box.y + box.height <= picture.height and box.x + box.width <= picture.width for box in picture.boxes)


def test_gives_what_moves_a_box_of_its_own_among_hundreds() -> None:
    flows = [Flow("docker.io", f"team/{number}", ["web"], "keep", "") for number in range(300)]
    flows[117] = Flow("docker.io", "team/117", ["api"], "move", "team/117:1")
    picture = draw(
        flows, {"move": "to move", "keep": "unchanged"}, [Column("a", "as"), Column("b", "bs"), Column("c", "cs")]
    )
    assert picture is not None
    boxes = {box.name: box for box in picture.boxes}
    assert (boxes["team/117"].state, boxes["team/117"].link) == ("move", "team/117:1")
    assert boxes["299 more bs of docker.io"].about == "299 unchanged"
    assert boxes["api"].state == "move"


def test_counts_the_lines_of_a_text_that_is_too_long_to_align() -> None:
    before, after = ("\n".join(str(number * step % 100) for number in range(50_000)) for step in (1, 7))
    change = AttributeChange("buildspec", before, f"{after}\nend")
    updated = InfraChange("aws_codebuild_project.a", "aws_codebuild_project", InfraAction.UPDATE, changes=(change,))
    assert "1 line added, 0 removed" in Elements(page_of(replace(PLAN, infra_changes=(updated,)))).text()
