"""Chromium without a window, and what a page did in it."""

from __future__ import annotations

import base64
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import axe_playwright_python
from selenium.webdriver import ActionChains, Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

FLAGS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
)
WIDE, NARROW = 1240, 420
HEIGHT: Final = 780
AXE: Final = Path(axe_playwright_python.__file__).with_name("axe.min.js")
SERIOUS: Final = frozenset({"serious", "critical"})
_RUN_AXE: Final = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ["violations"]}).then((found) => done(found.violations), (why) => done(String(why)));
"""


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser with one tab."""

    driver: Any

    def look(self, url: str, *, dark: bool = False, width: int = WIDE, scripts: bool = True) -> None:
        """Open a page."""
        metrics = {"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        self.prefer(dark=dark)
        self._tell("Emulation.setDeviceMetricsOverride", **metrics)
        self._tell("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.complaints()  # of the page before
        self.driver.get(url)

    def prefer(self, *, dark: bool) -> None:
        """Prefer dark or light pages from now on."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._tell("Emulation.setEmulatedMedia", features=[scheme])

    def complaints(self) -> list[str]:
        """What the browser has written into its console since the last call, such as breaches of the policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def violations(self) -> list[str]:
        """What axe-core finds serious on the page."""
        self.driver.execute_script(AXE.read_text())
        found = self.driver.execute_async_script(_RUN_AXE)
        assert isinstance(found, list), found
        return [
            f"{rule['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
            for rule in found
            if rule["impact"] in SERIOUS
            for node in rule["nodes"]
        ]

    def sideways(self) -> int:
        """By how many pixels the page is wider than the screen."""
        return int(self.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def cut_off(self) -> list[str]:
        """The headings of tables that are wider than their place on the page, and so hide columns."""
        places = "[...document.querySelectorAll('.wide')].filter((place) => place.scrollWidth > place.clientWidth)"
        return list(self.run(f"return {places}.map((place) => place.getAttribute('aria-labelledby'))"))

    def run(self, script: str, *arguments: object) -> Any:
        """Return what a script returns."""
        return self.driver.execute_script(script, *arguments)

    def before_pages(self, script: str) -> None:
        """Run a script in each page before its own."""
        self._tell("Page.addScriptToEvaluateOnNewDocument", source=script)

    def downloads_to(self, folder: Path) -> None:
        """Keep downloads in a folder."""
        self._tell("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def drag(self, source: str, target: str) -> None:
        """Drag with the mouse from an element to another."""
        begin, end = (self.driver.find_element("css selector", name) for name in (source, target))
        ActionChains(self.driver).click_and_hold(begin).move_to_element(end).release().perform()

    def save(self, path: Path) -> None:
        """Write a picture of the whole page."""
        path.parent.mkdir(parents=True, exist_ok=True)
        shot = self._tell("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _tell(self, method: str, **parameters: object) -> Any:
        return self.driver.execute_cdp_cmd(method, parameters)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser that knows nothing and keeps nothing."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with tempfile.TemporaryDirectory() as folder:
        for flag in (*FLAGS, f"--user-data-dir={folder}"):
            options.add_argument(flag)
        driver = Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            yield Browser(driver)
        finally:
            driver.quit()
