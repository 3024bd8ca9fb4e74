"""Readers that take a download from front to back: Java's ZipInputStream, and Node's unzipper."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.attacks.callers import new_owner
from tests.attacks.downloads import opened
from tests.attacks.lines import line, packed
from tests.conftest import ROOT

if TYPE_CHECKING:
    from tests.attacks.callers import Callers
    from tests.attacks.store import RawData

DAY: Final = "2025-04-01"
STAMP: Final = 1743465600000
READERS: Final = Path(__file__).parent / "readers"
PACKAGES: Final = ROOT / ".cache" / "node-readers"
UNZIPPER: Final = "unzipper@0.12.5"
# From 4.16 MB on, a deflated member could become larger than 4 GiB.
LARGE: Final = 6 * 1024 * 1024
DATASETS: Final = {"eks-creation-summary": "creation/summary/", "D001": "public/"}
LIMIT_S: Final = 120


@pytest.fixture(scope="module")
async def downloads(callers: Callers, raw: RawData, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A download in each layout: members that are small, large and empty of others' lines, in one day."""
    owner, folder = new_owner(), tmp_path_factory.mktemp("downloads")
    noise = base64.b64encode(os.urandom(LARGE)).decode()
    step = len(noise) // 12
    large = packed(*(line(owner, str(n), edata={"noise": noise[n * step : (n + 1) * step]}) for n in range(12)))
    assert len(large) > LARGE
    objects = [packed(line(owner, "before")), large, packed(line(owner, "after")), large]
    for dataset, prefix in DATASETS.items():
        place = f"{prefix}{owner}/" if dataset == "D001" else prefix
        for number, data in enumerate(objects):
            await raw.put(f"{place}{DAY}-{STAMP + number}.json.gz", data)
    caller = await callers.new(owner)
    files = {dataset: folder / f"{dataset}.zip" for dataset in DATASETS}
    for dataset, file in files.items():
        file.write_bytes(await caller.archive_of(await caller.accepted(f"{dataset}/{{}}/{DAY}/{DAY}", owner)))
    return files


def expected(download: Path) -> list[str]:
    """A line for each member, as the readers print them: the digest of its bytes, and its name."""
    found = opened(download.read_bytes())
    lines = [
        f"{hashlib.sha1(data, usedforsecurity=False).hexdigest()} {day}.zip!{name}"
        for day, members in found.days.items()
        for name, data in members.items()
    ]
    assert len(lines) == 4
    return lines


async def read_by(program: list[str], download: Path, **environment: str) -> list[str]:
    """What a reader prints of the members of the days."""
    done = await asyncio.to_thread(
        subprocess.run,
        [*program, str(download)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [text for text in done.stdout.splitlines() if "!" in text]


@pytest.mark.parametrize("dataset", DATASETS)
async def test_java_reads_a_download_from_front_to_back(downloads: dict[str, Path], dataset: str) -> None:
    program = ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", str(READERS / "FrontToBack.java")]
    assert await read_by(program, downloads[dataset]) == expected(downloads[dataset])


@pytest.fixture(scope="module")
def unzipper() -> Path:
    """The folder in which Node finds the package unzipper."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("Node's unzipper is not tried: there is no npm (apt-get install -y npm)")
    modules = PACKAGES / "node_modules"
    if not (modules / "unzipper").is_dir():
        PACKAGES.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--prefix", str(PACKAGES), "--no-audit", "--no-fund", "--ignore-scripts", UNZIPPER]
        subprocess.run(command, check=True, timeout=LIMIT_S, capture_output=True)
    return modules


@pytest.mark.parametrize("dataset", DATASETS)
async def test_node_reads_a_download_from_front_to_back(
    downloads: dict[str, Path], unzipper: Path, dataset: str
) -> None:
    program = ["node", str(READERS / "front_to_back.cjs")]
    found = await read_by(program, downloads[dataset], NODE_PATH=str(unzipper))
    assert found == expected(downloads[dataset])
