"""The HTML page in a real Chromium: what its script does, what its policy lets through, and how it looks to everyone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest

from tests.docs.result_samples import RESULTS
from tests.support import page_samples, status_samples
from tests.support.browser import Browser, chromium
from tests.support.plan_samples import CHANGED, EMPTY, MIXED

pytestmark = pytest.mark.xdist_group("browser")

PLAN = page_samples.plan_result(page_samples.reviewed())
SHOWN = """return [...document.querySelectorAll(".images tbody")].filter((row) => row.checkVisibility())
  .map((row) => row.querySelector("th a").textContent)"""


def _of(kind: str, command: str, exit_code: int = 0, sample: int = 0) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "command": command,
        "exit_code": exit_code,
        kind: RESULTS[kind].documents[sample],
    }


_ISSUE = {"file": "images.yaml", "line": 3, "path": "images[2]", "message": "is no image"}
_ERROR = {"code": "manifest.unusable", "message": "`images.yaml` cannot be used", "hint": None, "issues": [_ISSUE]}
SAMPLES: Mapping[str, Callable[[], Mapping[str, Any]]] = {
    "plan": lambda: PLAN,
    "nothing": lambda: page_samples.plan_result(EMPTY),
    "changed": lambda: page_samples.plan_result(CHANGED),
    "refused": lambda: page_samples.plan_result(MIXED),
    "failed apply": page_samples.failed_apply,
    "hostile": page_samples.hostile,
    "300 images": lambda: page_samples.plan_result(page_samples.reviewed(300)),
    "scan": lambda: _of("scan", "scan"),
    "diagnosis": lambda: _of("diagnosis", "doctor", 4),
    "preview": lambda: _of("preview", "copy"),
    "lock": lambda: _of("lock", "lock"),
    "prune": lambda: _of("prune", "prune", 6, sample=1),
    "status": lambda: status_samples.result(status_samples.REPORT),
    "hostile status": lambda: status_samples.result(status_samples.hostile()),
    "error": lambda: {"schema_version": 1, "command": "plan", "exit_code": 3, "error": _ERROR},
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture(scope="module")
def page() -> str:
    return page_samples.page(PLAN)


def type_filter(browser: Browser, text: str) -> None:
    browser.run(
        "const field = document.querySelector('input[type=search]'); field.value = arguments[0];"
        "field.dispatchEvent(new InputEvent('input', {bubbles: true}))",
        text,
    )


def click(browser: Browser, selector: str) -> None:
    browser.run("document.querySelector(arguments[0]).click()", selector)


def test_shows_what_changes_first_and_all_of_it_on_demand(browser: Browser, page: str) -> None:
    browser.open(page)
    assert len(browser.run(SHOWN)) == 5
    assert browser.run(SHOWN)[:2] == ["docker-hub/library/mysql", "docker-hub/library/nginx:1.27"]
    click(browser, "input[value=keep]")
    assert len(browser.run(SHOWN)) == 61
    assert browser.run("return document.querySelector('output').textContent") == "61 of 61 shown"


def test_filters_by_text_and_action(browser: Browser, page: str) -> None:
    browser.open(page)
    click(browser, "input[value=keep]")
    type_filter(browser, "QUAY prometheus")
    assert all("quay/prometheus" in name for name in browser.run(SHOWN)) and browser.run(SHOWN)
    click(browser, "input[value=keep]")
    assert browser.run(SHOWN) == ["quay/prometheus/node-exporter:v1.8.2"]
    type_filter(browser, "no such image")
    assert browser.run("return document.querySelector('.nothing').checkVisibility()")


def test_sorts_both_ways_by_number_and_by_name(browser: Browser, page: str) -> None:
    browser.open(page)
    sizes = "return [...document.querySelectorAll('.images tbody .size')].map((cell) => Number(cell.dataset.sort))"
    click(browser, ".of-size button")
    assert browser.run(sizes) == sorted(browser.run(sizes))
    click(browser, ".of-size button")
    assert browser.run(sizes) == sorted(browser.run(sizes), reverse=True)
    assert browser.run("return document.querySelector('.of-size').ariaSort") == "descending"
    click(browser, ".of-name button")
    assert browser.run(SHOWN) == sorted(browser.run(SHOWN))
    assert browser.run("return document.querySelector('.of-size').ariaSort") == "none"


@pytest.mark.parametrize(
    "fragment", ["#nginx:1.27", "#docker-hub/library/nginx:1.27", "#docker-hub%2Flibrary%2Fpython%3A3.12-slim"]
)
def test_leads_to_the_row_of_a_link_even_if_it_was_filtered_away(browser: Browser, page: str, fragment: str) -> None:
    browser.open(page, fragment)
    seen = browser.run("""const row = document.querySelector(".images tbody.marked"), place = row.getBoundingClientRect();
      return [row.id, row.querySelector(".more").checkVisibility(), place.top >= 0 && place.bottom <= innerHeight]""")
    assert fragment.rpartition("nginx")[1] in seen[0] or "python:3.12-slim" in seen[0]
    assert seen[1:] == [True, True]


@pytest.mark.parametrize("name", SAMPLES)
def test_asks_nobody_for_anything_and_breaks_no_policy(browser: Browser, name: str) -> None:
    browser.open(page_samples.page(SAMPLES[name]()))
    assert browser.violations() == []
    assert browser.requests() == []
    assert browser.run("return [window.hacked, document.images.length]") == [None, 0]
    for width in (360, 1280):
        browser.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
        assert browser.run("return document.documentElement.scrollWidth") <= width


def test_its_policy_stops_what_is_put_into_it(browser: Browser, page: str) -> None:
    planted = "<script>window.hacked=1</script><img src='http://127.0.0.1:9/x'><b style='color:red' onclick='x()'>x</b>"
    browser.open(page.replace("<main>", f"<main>{planted}"))
    assert browser.run("return window.hacked") is None
    kinds = {text.partition(" ")[0] for text in browser.violations()}
    assert {"script-src-elem", "img-src", "style-src-attr", "script-src-attr"} <= kinds
    assert browser.requests() == ["http://127.0.0.1:9/x"]  # it is seen, though it was stopped


def test_shows_hostile_names_as_text_and_finds_their_rows(browser: Browser) -> None:
    document = page_samples.hostile()
    browser.open(page_samples.page(document))
    assert json.loads(browser.run("return document.getElementById('_result').textContent")) == document
    lost = browser.run("""return [...document.querySelectorAll(".images tbody th a")].filter((link) => {
      location.hash = link.getAttribute("href");
      return !document.getElementById(decodeURIComponent(location.hash.slice(1)));
    }).map((link) => link.textContent)""")
    assert lost == []
    hidden = browser.run(
        r"return /[\u202a-\u202e\u2066-\u2069\u0000\u001b]/.test(document.querySelector('main').textContent)"
    )
    assert not hidden


CONTRAST = """
const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
const rgba = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data]; };
const light = (colour) => { const [r, g, b] = colour.slice(0, 3).map((part) => part / 255)
  .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const behind = (element) => {
  for (let one = element; one; one = one.parentElement) {
    if (one.ownerSVGElement && one.localName === "svg") return rgba(getComputedStyle(one.querySelector("rect")).fill);
    const colour = rgba(getComputedStyle(one).backgroundColor);
    if (colour[3] === 255) return colour;
  }
  return rgba(getComputedStyle(document.documentElement).colorScheme === "dark" ? "black" : "white");
};
const found = {};
for (const element of document.querySelectorAll("body *")) {
  if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
  if (["SCRIPT", "STYLE", "title"].includes(element.nodeName) || !element.checkVisibility()) continue;
  const style = getComputedStyle(element);
  const [a, b] = [light(rgba(element instanceof SVGElement ? style.fill : style.color)), light(behind(element))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) found[`${element.nodeName}.${element.getAttribute("class")} in ${element.parentElement.className}`] = ratio;
}
return found;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["plan", "refused", "changed", "failed apply", "scan"])
def test_has_enough_contrast_for_everybody(browser: Browser, name: str, scheme: str) -> None:
    browser.open(page_samples.page(SAMPLES[name]()), "#nginx:1.27", scheme=scheme)
    assert browser.run("return matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    assert browser.run(CONTRAST) == {}


def test_tells_a_screen_reader_what_everything_is(browser: Browser, page: str) -> None:
    browser.open(page)
    nodes = browser.command("Accessibility.getFullAXTree")["nodes"]
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node.get("ignored")
    ]
    roles = {role for role, _ in named}
    assert {
        "heading",
        "navigation",
        "main",
        "region",
        "table",
        "columnheader",
        "rowheader",
        "search",
        "status",
    } <= roles
    assert [
        role for role, name in named if role in ("link", "button", "checkbox", "searchbox") and not name.strip()
    ] == []
    levels = browser.run("return [...document.querySelectorAll('h1,h2,h3')].map((one) => Number(one.localName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_reaches_everything_by_keyboard_and_shows_where(browser: Browser, page: str) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(page)
    browser.run("document.querySelector('.box').focus()")
    assert browser.run("return document.querySelectorAll('.picture.lit .line.on').length") > 0
    browser.run("document.querySelector('input[type=search]').focus()")
    browser.driver.switch_to.active_element.send_keys("nginx", Keys.TAB)
    assert browser.run(SHOWN) == ["docker-hub/library/nginx:1.27"]
    browser.run("document.querySelector('.marked, .images tbody:not([hidden]) .toggle').focus()")
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.run("return document.activeElement.ariaExpanded") == "true"
    browser.driver.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_prints_everything_unfolded_and_no_controls(browser: Browser, page: str) -> None:
    browser.open(page, media="print")
    seen = browser.run("""return [".filter", "nav", "#_data", ".toggle"].filter((one) =>
      document.querySelector(one).checkVisibility()).concat(
      [...document.querySelectorAll(".images tbody tr")].filter((row) => !row.checkVisibility()).length)""")
    assert seen == [0]
    browser.run("""for (const one of document.querySelectorAll("details")) one.open = false;
      addEventListener("beforeprint", () => { window.closed_ = document.querySelectorAll("details:not([open])").length })""")
    browser.command("Page.printToPDF")
    assert browser.run("return [window.closed_, document.querySelectorAll('main details[open]').length]") == [1, 0]


def test_saves_and_shows_the_json(browser: Browser, page: str) -> None:
    browser.open(page)
    click(browser, "#_save")
    path = browser.folder / "result.json"
    end = time.monotonic() + 5
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert json.loads(path.read_text(encoding="utf-8")) == PLAN
    click(browser, "#_show summary")
    end = time.monotonic() + 5
    while not (text := browser.run("return document.querySelector('#_show pre').textContent")):
        assert time.monotonic() < end
    assert json.loads(text) == PLAN
    assert browser.violations() == []


def test_works_in_a_frame_without_storage(browser: Browser, page: str) -> None:
    (browser.folder / "inner.html").write_text(page, encoding="utf-8")
    browser.open("<!doctype html><iframe sandbox='allow-scripts' src='inner.html' width=1200 height=800></iframe>")
    browser.driver.switch_to.frame(0)
    type_filter(browser, "nginx")
    assert browser.run(SHOWN) == ["docker-hub/library/nginx:1.27"]
    assert browser.run("try { return localStorage.length } catch { return 'no storage' }") == "no storage"
    browser.driver.switch_to.default_content()


def test_can_be_read_without_its_script(browser: Browser, page: str) -> None:
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page)
        assert len(browser.run(SHOWN)) == 61
        assert browser.run("return document.querySelectorAll('.images .more').length") == browser.run(
            "return [...document.querySelectorAll('.images .more')].filter((row) => row.checkVisibility()).length"
        )
        assert not browser.run("return document.querySelector('.filter').checkVisibility()")
    finally:
        browser.command("Emulation.setScriptExecutionDisabled", value=False)


def test_loads_a_thousand_images_in_a_moment(browser: Browser) -> None:
    text = page_samples.page(page_samples.plan_result(page_samples.reviewed(1000)))
    assert len(text.encode()) < 3_000_000
    browser.open(text)
    loaded = browser.run("return performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert loaded < 5_000  # 0.5 s on two quiet cores
    click(browser, "input[value=keep]")
    start = time.monotonic()
    type_filter(browser, "python")
    click(browser, ".of-name button")
    assert len(browser.run(SHOWN)) > 10
    assert time.monotonic() - start < 3
