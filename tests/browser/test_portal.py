"""The portal in a browser, by keyboard alone and on a narrow screen: from signing in to the download."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any, Final

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.chromium import NARROW, WIDE
from tests.browser.portal_scene import PortalScene, open_scene
from tests.conftest import ROOT
from tests.support.partner import resource_of
from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.browser.chromium import Browser

FOLDER: Final = ROOT / ".local" / "test-portal-browser"
SCREENSHOTS: Final = ROOT / ".local" / "screenshots" / "portal"
WITHIN_S: Final = 60
MOST_TABS: Final = 60
STRIP: Final = 62


@pytest.fixture(scope="module")
def scene() -> Iterator[PortalScene]:
    with open_scene(FOLDER) as opened:
        yield opened


def until(browser: Browser, condition: Callable[[], Any]) -> None:
    WebDriverWait(browser.driver, WITHIN_S, poll_frequency=0.05).until(lambda _: condition())


def focused(browser: Browser, script: str) -> Any:
    return browser.run(f"const it = document.activeElement; return {script}")


def press(browser: Browser, *keys: str) -> None:
    browser.driver.switch_to.active_element.send_keys(*keys)


def tab_to(browser: Browser, condition: str) -> None:
    """Press Tab until an element has the focus of which the condition is true."""
    for _ in range(MOST_TABS):
        press(browser, Keys.TAB)
        if focused(browser, condition):
            return
    raise AssertionError(f"Tab does not reach {condition}")


def enter(browser: Browser, address: str) -> None:
    """Press Enter, and wait until the browser is at an address that begins like this."""
    press(browser, Keys.ENTER)
    until(browser, lambda: browser.driver.current_url.startswith(address))
    until(browser, lambda: browser.run("return document.readyState") == "complete")


def sign_in(browser: Browser, scene: PortalScene, **options: Any) -> None:
    browser.look(scene.address, **options)
    assert browser.driver.current_url == f"{scene.address}/sign-in"
    assert focused(browser, "it.name") == "licensekey"
    press(browser, scene.partner.license_key)
    press(browser, Keys.ENTER)
    until(browser, lambda: browser.driver.current_url == scene.address)


def fits(browser: Browser, name: str, width: int) -> None:
    """Check what everybody needs: a page fits, breaks no rule of its policy, and axe finds nothing serious."""
    assert browser.complaints() == [], name
    assert browser.sideways() <= 0, name
    for scheme in ("dark", "light"):
        browser.prefer(dark=scheme == "dark")
        browser.save(SCREENSHOTS / f"{name}-{width}-{scheme}.png")
        assert browser.violations() == [], (name, scheme)


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_by_keyboard_alone_from_signing_in_to_the_download(
    browser: Browser, scene: PortalScene, tmp_path: Path, width: int
) -> None:
    browser.downloads_to(tmp_path)
    sign_in(browser, scene, width=width)
    assert scene.owner in browser.driver.page_source
    fits(browser, "start", width)
    first, last = scene.days[-3], scene.days[-1]
    tab_to(browser, "it.name === 'first'")
    press(browser, f"{first:%m%d%Y}")
    tab_to(browser, "it.name === 'last'")
    press(browser, f"{last:%m%d%Y}")
    tab_to(browser, "it.textContent.startsWith('Ask for')")
    enter(browser, f"{scene.address}/ask")
    assert f"first={first}" in browser.driver.current_url
    fits(browser, "ask", width)
    tab_to(browser, "it.textContent === 'Submit'")
    enter(browser, f"{scene.address}/requests/")
    fits(browser, "request", width)
    until(browser, lambda: browser.run("return document.querySelector('#live [data-word]').dataset.word") == "complete")
    tab_to(browser, "it.textContent === 'Download'")
    press(browser, Keys.ENTER)
    until(browser, lambda: list(tmp_path.glob("*.zip")))
    [file] = tmp_path.glob("*.zip")
    with zipfile.ZipFile(file) as archive:
        assert archive.namelist() == [f"{day}.zip" for day in scene.days[-3:]] + ["manifest.json"]
    browser.driver.refresh()
    fits(browser, "complete", width)
    assert browser.run("return document.querySelectorAll('#events-a-day canvas').length") == 1
    tab_to(browser, "it.textContent.startsWith('Show the first')")
    enter(browser, browser.driver.current_url.rstrip("/") + "/events")
    assert '"eid"' in browser.run("return document.querySelector('main').textContent")
    fits(browser, "events", width)
    browser.driver.get(scene.address)
    assert browser.run("return document.querySelectorAll('.strip .ready').length") >= len(scene.days[-3:])
    assert browser.run("return document.querySelector('.legend').textContent").split()[:2] == ["✓", "ready"]
    fits(browser, "start-again", width)


def test_days_are_chosen_by_dragging_over_the_strip(browser: Browser, scene: PortalScene) -> None:
    sign_in(browser, scene)
    first, last = scene.days[0], scene.days[-2]
    browser.drag(f"[data-day='{last}']", f"[data-day='{first}']")
    values = browser.run("return [...document.querySelectorAll('.days-form [type=date]')].map((field) => field.value)")
    assert values == [str(first), str(last)]
    assert len(browser.run("return [...document.querySelectorAll('.strip .chosen')]")) == len(scene.days) - 1


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_new_key_is_shown_once(browser: Browser, scene: PortalScene, width: int) -> None:
    sign_in(browser, scene, width=width)
    browser.driver.get(f"{scene.address}/keys")
    fits(browser, "keys", width)
    tab_to(browser, "it.textContent === 'Make a new key'")
    press(browser, Keys.ENTER)
    until(browser, lambda: browser.run("return document.querySelector('#new-key') !== null"))
    fits(browser, "new-key", width)
    made = browser.run("return document.querySelector('#new-key').textContent")
    browser.driver.get(f"{scene.address}/keys")
    assert made not in browser.driver.page_source


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_webhook_is_registered_and_tested(browser: Browser, scene: PortalScene, width: int) -> None:
    sign_in(browser, scene, width=width)
    browser.driver.get(f"{scene.address}/webhooks")
    tab_to(browser, "it.name === 'url'")
    press(browser, f"http://127.0.0.1:{closed_port()}/hooks")
    press(browser, Keys.ENTER)
    until(browser, lambda: browser.run("return document.querySelector('#new-secret') !== null"))
    fits(browser, "new-webhook", width)
    tab_to(browser, "it.textContent === 'Test'")
    press(browser, Keys.ENTER)
    until(browser, lambda: "webhook.test" in browser.driver.page_source)
    fits(browser, "webhooks", width)


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_what_is_refused_is_said_on_a_page(browser: Browser, scene: PortalScene, width: int) -> None:
    browser.look(f"{scene.address}/sign-in", width=width)
    press(browser, "no key")
    press(browser, Keys.ENTER)
    until(browser, lambda: browser.run("return document.querySelector('[role=alert]#refused') !== null"))
    browser.complaints()  # of the status 401
    fits(browser, "refused", width)
    sign_in(browser, scene, width=width)
    browser.driver.get(f"{scene.address}/nothing")
    browser.complaints()  # of the status 404
    fits(browser, "error", width)
    query = f"dataset=eks-consumption-raw&resource={resource_of(scene.owner)}&kind=partner&partner={scene.owner}"
    browser.driver.get(f"{scene.address}/ask?{query}&first=2099-01-01&last=2099-01-02")
    browser.complaints()  # of the status 400
    fits(browser, "wrong-days", width)


def test_without_scripts_everything_but_live_progress_works(browser: Browser, scene: PortalScene) -> None:
    browser.look(scene.address, scripts=False)
    browser.driver.find_element("name", "licensekey").send_keys(scene.partner.license_key, Keys.ENTER)
    until(browser, lambda: browser.driver.current_url == scene.address)
    assert len(browser.driver.find_elements("css selector", ".strip [data-day]")) == STRIP
    browser.driver.find_element("css selector", ".days-form button").click()
    until(browser, lambda: "/ask" in browser.driver.current_url)
    browser.driver.find_element("css selector", ".chief").click()
    until(browser, lambda: "/requests/" in browser.driver.current_url)
    assert "Look again" in browser.driver.page_source


def test_a_request_of_somebody_else_is_like_an_unknown_one(browser: Browser, scene: PortalScene) -> None:
    sign_in(browser, scene)
    texts = []
    for request in (scene.other, "00000000-0000-4000-8000-000000000000"):
        browser.driver.get(f"{scene.address}/requests/{request}")
        texts.append(browser.run("return document.querySelector('main').textContent"))
    assert texts[0] == texts[1]
