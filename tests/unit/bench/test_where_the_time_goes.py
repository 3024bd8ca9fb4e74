from __future__ import annotations

import gzip
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bench.aggregator.generated_data import CHANNELS
from bench.aggregator.processor_time import ProcessorTime, processor_time
from bench.aggregator.stages import STAGES, measure_stages, selections
from bench.errors import BenchError
from bench.processes import children

if TYPE_CHECKING:
    from pathlib import Path

EVENT = '{"eid":"A","ver":"3.0","mid":"%d","ets":1500000000000,"context":{"channel":"%s"},"edata":"%s"}\n'
BURN = "import time\nwhile time.process_time() < 0.1: pass"


def test_the_time_of_a_process_that_has_ended_is_the_contenders() -> None:
    before = processor_time(os.getpid(), os.getpid())
    subprocess.run([sys.executable, "-c", BURN], check=True)
    assert (processor_time(os.getpid(), os.getpid()) - before).contender >= 0.09


def test_the_time_of_a_child_that_still_runs_is_that_of_a_scan_worker() -> None:
    code = f"{BURN}\nprint(flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert child.pid in children(os.getpid())
        assert processor_time(os.getpid(), child.pid).scan_workers >= 0.09
        assert processor_time(os.getpid(), child.pid).store >= 0.09
        child.communicate(b"\n")
    assert child.pid not in children(os.getpid())


def test_what_was_taken_since_then_is_the_difference() -> None:
    assert ProcessorTime(3, 4, 5) - ProcessorTime(1, 1, 1) == ProcessorTime(2, 3, 4)


def test_every_kind_of_selection_is_told_by_stages(tmp_path: Path) -> None:
    block = tmp_path / "block.json.gz"
    noise = os.urandom(500 * 4000).hex()  # so that inflating, too, takes far longer than the time between two samples
    lines = (EVENT % (n, CHANNELS[n % 20], noise[1000 * n : 1000 * n + 1000]) for n in range(4000))
    block.write_bytes(gzip.compress("".join(lines).encode(), 1))
    found = measure_stages(block)
    assert [*found] == [*selections()]
    assert all(taken and taken.keys() <= set(STAGES) for taken in found.values())
    assert all(milliseconds > 0 for taken in found.values() for milliseconds in taken.values())
    assert {"inflate", "decode"} <= found["20 channels"].keys()


def test_a_block_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="FileNotFoundError"):
        measure_stages(tmp_path / "block.json.gz")
