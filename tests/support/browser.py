"""A headless Chromium that tells what it asked the network for and which policies were violated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.real_parts import require

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

_NOTE_VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) => violations.push(`${event.violatedDirective} ${event.blockedURI}`));
addEventListener("error", (event) => violations.push(`error ${event.message}`));
"""


class Browser:
    """One page at a time, from a file."""

    def __init__(self, driver: Chrome, folder: Path) -> None:
        self.driver = driver
        self.folder = folder

    def open(self, text: str, fragment: str = "", *, width: int = 1280, scheme: str = "light", media: str = "") -> None:
        """Show the page `text` in a window of `width` pixels."""
        path = self.folder / "page.html"
        path.write_text(text, encoding="utf-8")
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", media=media, features=features)
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.driver.get("about:blank")  # another fragment of the same file would not load it again
        self.driver.get_log("performance")
        self.driver.get(path.as_uri() + fragment)

    def command(self, name: str, **parameters: Any) -> Any:
        """What a command of the DevTools protocol answers."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def run(self, script: str, *arguments: object) -> Any:
        """What the body of a function returns in the page."""
        return self.driver.execute_script(script, *arguments)

    def requests(self) -> list[str]:
        """The addresses of all requests since the page was opened, the page's own left out."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
        return [url for url in asked if not url.startswith((self.folder / "page.html").as_uri())]

    def violations(self) -> list[str]:
        """What a policy forbade, and what failed in a script."""
        return list(self.run("return window.violations"))


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """A browser which keeps its files in `folder`."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = require("chromium", "pages are tested in it")
    # As root and in containers, Chromium has neither its sandbox nor enough of /dev/shm.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={folder / 'profile'}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(options, Service(require("chromedriver", "it steers Chromium")))
    try:
        browser = Browser(driver, folder)
        browser.command("Page.addScriptToEvaluateOnNewDocument", source=_NOTE_VIOLATIONS)
        browser.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        yield browser
    finally:
        driver.quit()
