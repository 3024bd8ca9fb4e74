"""A browser and a system in trouble; without the browser a visible skip."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import pytest

from tests.conftest import ROOT

pytest.importorskip("selenium", reason="no browser is here: make test-browser installs one")
if shutil.which("chromedriver") is None:
    pytest.skip("no browser is here: make test-browser installs one", allow_module_level=True)

from tests.browser.chromium import chromium
from tests.browser.scene import system_in_trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.local.stack import Stack
    from tests.browser.chromium import Browser

FOLDER: Final = ROOT / ".local" / "test-browser"


@pytest.fixture(scope="session")
def trouble() -> Iterator[Stack]:
    with system_in_trouble(FOLDER) as stack:
        yield stack


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened
