"""The code blocks of documents, and a shell that runs them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(file: str, language: str, *, after: str) -> list[str]:
    """Code blocks of a language, from a heading on."""
    text = (ROOT / file).read_text()
    return [code for kind, code in BLOCK.findall(text[text.index(after) :]) if kind == language]


def shell(code: str, folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EXHAUST_")}
    environment |= {"PATH": f"{folder / 'bin'}:{environment['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [shutil.which("bash") or "/bin/bash", "-euo", "pipefail", "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
