"""The measurement of filtering: one channel of 20 from the shared objects of a day, beside every peer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.aggregator.correctness import difference, expect, has_member_per_object
from bench.aggregator.generated_data import FIRST_DAY, day_objects
from bench.aggregator.results import Row
from bench.aggregator.testbed import CHANNEL, SHARED, SHARED_PREFIX
from bench.bars import at_least
from bench.errors import BenchError
from bench.progress import report_progress

if TYPE_CHECKING:
    from bench.aggregator.correctness import Expected
    from bench.aggregator.generated_data import GeneratedObject
    from bench.aggregator.processor_time import ProcessorTime
    from bench.aggregator.results import Results
    from bench.aggregator.testbed import PeerRun, Testbed, Turns

OBJECTS: Final = 8
TASK: Final = "one channel of 20"
OURS: Final = "ours"
ONE: Final = "440 MB in 8 objects"


@dataclass(frozen=True, slots=True)
class Peer:
    """Another program that does the same job.

    Attributes:
        module: below bench.aggregator.peers.
        note: what ours does in addition.
        times: how many times faster ours must be; None when there is no bar.
        checked: True when it writes a zip.
        seen: True when its processor time can be seen; the JVM of Spark ends as nobody's child.
    """

    name: str
    module: str
    way: str
    note: str = ""
    times: float | None = None
    checked: bool = True
    seen: bool = True


PEERS: Final = (
    Peer("plain Python", "plain_python", "S3 → S3", times=10),
    Peer("PySpark local[2]", "spark_job", "files → file", "no S3 without jars of its own", times=10, seen=False),
    Peer("DuckDB", "duckdb_sql", "files → file", "its httpfs extension cannot be had offline", times=5),
    Peer("polars", "polars_frame", "files → file"),
    Peer("rg -z | zip", "ripgrep_zip", "files → file", "text search; one member for all objects"),
    Peer("ceiling: isal inflate", "inflate_only", "files → nothing", "nothing is selected or written", checked=False),
)


def measure(testbed: Testbed, results: Results) -> None:
    """Measure each peer, alternating with ours."""
    objects = day_objects(FIRST_DAY, testbed.blocks, OBJECTS)
    testbed.upload(SHARED_PREFIX, objects)
    report_progress("counting the day independently")
    expected = expect(testbed.files(objects), CHANNEL)
    report_progress("checking our output")
    done = testbed.build(SHARED, [FIRST_DAY])
    ours = testbed.fetch(done.keys[0])
    if found := difference(ours, expected):
        raise BenchError(f"our own output is wrong: {found}")
    if not has_member_per_object(ours, expected):
        raise BenchError("our own output has other members than one for each object")
    raw = sum(made.raw for made in objects)
    times: list[float] = []
    processors: list[ProcessorTime] = []
    for peer in PEERS:
        report_progress(f"{peer.name}, in turns with ours")
        turns = _beside(testbed, results, peer, objects, expected)
        times += turns.ours
        processors += turns.our_time
    results.rows.insert(0, Row(TASK, OURS, "S3 → S3", times, raw, note="right", processors=processors))


def _beside(
    testbed: Testbed, results: Results, peer: Peer, objects: list[GeneratedObject], expected: Expected
) -> Turns:
    """Measure one peer."""
    job = testbed.job(peer.module, SHARED_PREFIX, objects)
    runs: list[PeerRun] = []

    def theirs() -> float:
        runs.append(testbed.run(peer.module, job))
        return runs[-1].seconds

    turns = testbed.alternate(lambda: results.add_memory(ONE, testbed.build(SHARED, [FIRST_DAY])), theirs)
    verdict = _verdict(Path(job.output), expected) if peer.checked else ""
    note = "; ".join(filter(None, (verdict, peer.note)))
    whole = [run.whole for run in runs[-testbed.rounds :]]
    amount = sum(made.raw for made in objects)
    spent = turns.their_time if peer.seen else ()
    results.rows.append(Row(TASK, peer.name, peer.way, turns.theirs, amount, whole, turns.times_faster, note, spent))
    if peer.times:
        results.bars.append(at_least(f"filter, times as fast as {peer.name}", turns.times_faster, peer.times, "x"))
    elif not peer.checked:
        share = 100 * turns.times_faster
        results.bars.append(at_least("filter, share of the speed of inflating alone", share, 50, "%"))
    return turns


def _verdict(output: Path, expected: Expected) -> str:
    found = difference(output, expected)
    output.unlink()
    return f"WRONG: {found}" if found else "right"
