from __future__ import annotations

from typing import TYPE_CHECKING

from bench.aggregator.our_worker import JobResult
from bench.aggregator.processor_time import ProcessorTime
from bench.aggregator.report import markdown, show_results
from bench.aggregator.results import MIB, Results, Row
from bench.aggregator.scaling import judge_memory
from bench.bars import at_least, at_most

if TYPE_CHECKING:
    import pytest


SPENT = ProcessorTime(0.25, 1.5, 0.05)


def results() -> Results:
    found = Results()
    found.rows += [
        Row("one channel", "ours", "S3 → S3", (0.5, 1.0, 9.0), 100_000_000, note="right", processors=(SPENT,)),
        Row("one channel", "rg | zip", "files → file", (2.0, 3.0, 4.0), 100_000_000, (2.5, 3.5, 4.5), 3.0),
    ]
    found.bars += [at_least("filter", 3.0, 2, "x"), at_most("wait", 900, 700, "ms")]
    found.add_memory("small", JobResult(1.0, (), 100 * MIB))
    found.stages = {"one": {"inflate": 40.4, "decode": 9.6}, "all": {"inflate": 41.0, "deflate": 30.0}}
    return found


def test_the_text_holds_medians_ratios_bars_and_the_machine() -> None:
    text = markdown(results(), 3, {"cores": "2"}, {"DuckDB": "2.0"})
    assert "3 rounds. cores 2." in text
    assert "Versions: DuckDB 2.0." in text
    assert "| one channel | ours | S3 → S3 | 1.00 |  | 100 |  | right |" in text
    assert "| one channel | rg \\| zip | files → file | 3.00 | 3.50 | 33 | 3.00 |  |" in text
    assert "| wait | 900 ms | ≤ 700 ms | falls short |" in text
    assert "**1 bars hold, 1 fall short**" in text
    assert "| small | 100 | 1.0 |" in text
    assert "| one channel | ours | 0.25 | 1.50 | 0.05 | 1.8 |" in text
    stages = "| stage, in ms | one | all |", "| inflate | 40 | 41 |", "| decode | 10 | 0 |", "| all | 50 | 71 |"
    assert all(line in text for line in stages)
    assert "| statistics |" not in text


def test_a_pipe_gets_lines_with_tabs_and_the_verdict_last(capsys: pytest.CaptureFixture[str]) -> None:
    show_results(results())
    lines = capsys.readouterr().out.splitlines()
    assert "filter\t3.00 x\t≥ 2 x\tholds" in lines
    assert lines[-1] == "1 bars hold, 1 fall short"


def test_a_job_is_remembered_by_its_highest_peak() -> None:
    found = Results()
    assert found.add_memory("day", JobResult(1.0, (), 10 * MIB)) == 1.0
    assert found.add_memory("day", JobResult(2.0, (), 300 * MIB)) == 2.0
    assert found.add_memory("day", JobResult(3.0, (), 20 * MIB)) == 3.0
    found.add_memory("month", JobResult(9.0, (), 30 * MIB))
    assert [(seen.job, seen.peak // MIB, seen.seconds) for seen in found.memory] == [
        ("day", 300, 2.0),
        ("month", 30, 9.0),
    ]
    judge_memory(found)
    assert [(bar.measured, bar.holds) for bar in found.bars] == [(300.0, False)]
