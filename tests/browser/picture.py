"""The picture of the page Now in the README: a real system whose aggregator is frozen."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from tests.browser.chromium import chromium
from tests.browser.scene import PLAIN, system_in_trouble
from tests.conftest import ROOT

PICTURE: Final = ROOT / "docs" / "images" / "console-now.png"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, system_in_trouble(Path(folder), PLAIN) as stack:
        take(f"{stack.console}/now")
    print(f"{PICTURE.relative_to(ROOT)} shows the page as it is now.")


def take(address: str) -> None:
    with chromium() as browser:
        browser.look(address)
        browser.save(PICTURE)


if __name__ == "__main__":
    main()
