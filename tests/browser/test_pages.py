"""Every page of the console in a browser: its policy of content, axe-core, narrow screens, without scripts, polling."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.chromium import NARROW, WIDE
from tests.browser.scene import WAITING
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from deploy.local.stack import Stack
    from tests.browser.chromium import Browser

SCREENSHOTS: Final = ROOT / ".local" / "screenshots"
ANY_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\b\d+\b")
MOST_PAGES: Final = 30
LINKS: Final = "return [...document.querySelectorAll('a[href]')].map((found) => found.href)"
# Half a minute of the page lasts half a second, so that a test need not wait for what must not happen.
HURRY: Final = """
window.slow = window.setInterval;
window.setInterval = (act, every) => slow(act, every / 60);
const asked = () => performance.getEntriesByType("resource").filter((found) => found.name.endsWith("/now")).length;
document.addEventListener("visibilitychange", () => {
  window.asked = [...(window.asked || []), [document.visibilityState, asked()]];
});
"""
WITHIN_S: Final = 20


def pages_of(browser: Browser, stack: Stack) -> list[str]:
    """An address of each page that links lead to, such as one request of all."""
    found: dict[str, str] = {}
    waiting = [f"{stack.console}/now", f"{stack.console}/nothing", f"{stack.console}/now?wrong=1"]
    while waiting and len(found) < MOST_PAGES:
        address = waiting.pop(0)
        shape = ANY_ID.sub("*", urlsplit(address).path) + ("?" if urlsplit(address).query else "")
        if shape in found or not address.startswith(f"{stack.console}/"):
            continue
        found[shape] = address
        browser.look(address)
        waiting += [link.partition("#")[0] for link in browser.run(LINKS)]
    return list(found.values())


def name_of(address: str) -> str:
    parts = urlsplit(address)
    words = ANY_ID.sub("one", parts.path).strip("/").split("/")
    return "-".join([*words, "filtered"] if parts.query else words)


def until(browser: Browser, condition: Callable[[], Any]) -> None:
    WebDriverWait(browser.driver, WITHIN_S, poll_frequency=0.05).until(lambda _: condition())


@pytest.mark.timeout(600)
def test_every_page_is_fit_for_everybody(browser: Browser, trouble: Stack) -> None:
    faults: list[str] = []
    addresses = pages_of(browser, trouble)
    for address in addresses:
        for dark in (False, True):
            for width in (WIDE, NARROW):
                name = f"{name_of(address)}-{'dark' if dark else 'light'}-{width}"
                browser.look(address, dark=dark, width=width)
                refused = "/nothing" in address or "wrong" in address  # which the browser tells of, rightly
                complaints = [told for told in browser.complaints() if not (refused and "Failed to load" in told)]
                faults += [f"{name}: {fault}" for fault in complaints]
                if browser.sideways() > 0:
                    faults.append(f"{name}: {browser.sideways()} pixels wider than the screen")
                if width == WIDE:
                    faults += [f"{name}: table {table} hides columns" for table in browser.cut_off()]
                browser.save(SCREENSHOTS / f"{name}.png")
                faults += [f"{name}: {fault}" for fault in browser.violations()]
    print(f"\n{len(addresses)} pages: {sorted(map(name_of, addresses))}")
    assert not faults, "\n".join(faults)


def test_names_of_partners_are_text(browser: Browser, trouble: Stack) -> None:
    for address in pages_of(browser, trouble):
        browser.look(address)
        assert browser.run("return document.querySelectorAll('main b, main i, main u, main script').length") == 0


def test_now_says_what_is_the_matter_without_scripts_too(browser: Browser, trouble: Stack) -> None:
    browser.look(f"{trouble.console}/now", scripts=False)
    text = browser.driver.page_source
    assert f"Nobody plans. {WAITING} requests of 2 partners stand still" in text
    assert "Runbook: NobodyReads" in text
    browser.look(f"{trouble.console}/flow/history", scripts=False)
    assert "<table" in browser.driver.page_source


def test_the_page_asks_again_while_it_is_seen_and_rests_while_it_is_hidden(browser: Browser, trouble: Stack) -> None:
    browser.before_pages(HURRY)
    browser.look(f"{trouble.console}/now")
    seen = browser.run("return document.querySelector('.seen').textContent")
    until(browser, lambda: browser.run("return document.querySelector('.seen').textContent") != seen)
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    browser.driver.get(f"{trouble.console}/flow")
    browser.run("window.turns = 0; setInterval(() => { window.turns += 1; }, 100)")
    until(browser, lambda: browser.run("return window.turns") >= 5)
    browser.driver.switch_to.window(first)
    until(browser, lambda: len(browser.run("return window.asked || []")) >= len(("hidden", "visible")))
    (hidden, before), (visible, after) = browser.run("return window.asked")
    assert (hidden, visible) == ("hidden", "visible")
    assert before > 0
    assert after - before <= 1  # one may have been under way


def test_what_a_reader_has_in_hand_outlives_the_renewal(browser: Browser, trouble: Stack) -> None:
    browser.before_pages(HURRY)
    browser.look(f"{trouble.console}/now")
    browser.run("document.querySelector('#live a').focus({focusVisible: true})")
    focused = browser.run("return document.activeElement.getAttribute('href')")
    seen = browser.run("return document.querySelector('.seen').textContent")
    until(browser, lambda: browser.run("return document.querySelector('.seen').textContent") != seen)
    assert browser.run("return document.activeElement.getAttribute('href')") == focused


def test_the_keyboard_reaches_the_content_first(browser: Browser, trouble: Stack) -> None:
    browser.look(f"{trouble.console}/now")
    browser.driver.switch_to.active_element.send_keys("\ue004")  # Tab
    assert browser.run("return document.activeElement.className") == "skip"
    browser.driver.switch_to.active_element.send_keys("\ue007")  # Enter
    until(browser, lambda: browser.run("return document.activeElement.id") == "main")
