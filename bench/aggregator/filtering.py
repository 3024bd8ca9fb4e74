"""One channel of 20 from the shared objects of a day, beside every peer and the inflate ceiling."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.aggregator.correctness import difference, expect, has_member_per_object
from bench.aggregator.findings import Row
from bench.aggregator.generated_data import FIRST_DAY, day_objects
from bench.aggregator.workplace import CHANNEL, SHARED, SHARED_PREFIX
from bench.bars import at_least
from bench.errors import BenchError
from bench.progress import tell

if TYPE_CHECKING:
    from bench.aggregator.correctness import Expected
    from bench.aggregator.findings import Findings
    from bench.aggregator.generated_data import GeneratedObject
    from bench.aggregator.processor_time import ProcessorTime
    from bench.aggregator.workplace import Ran, Turns, Workplace

OBJECTS: Final = 8
TASK: Final = "one channel of 20"
OURS: Final = "ours"
ONE: Final = "440 MB in 8 objects"


@dataclass(frozen=True, slots=True)
class Peer:
    """Somebody else's way to do it.

    Attributes:
        module: below bench.aggregator.peers.
        note: what it does less than ours.
        times: how many times faster ours must be; None when there is no bar.
        checked: whether it writes a zip.
        seen: whether its processor time is: the JVM of Spark ends as nobody's child.
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


def measure(place: Workplace, findings: Findings) -> None:
    """Measures each peer in turns with ours."""
    objects = day_objects(FIRST_DAY, place.blocks, OBJECTS)
    place.upload(SHARED_PREFIX, objects)
    tell("works out independently what the day holds")
    expected = expect(place.files(objects), CHANNEL)
    tell("checks our output")
    done = place.build(SHARED, [FIRST_DAY])
    ours = place.fetch(done.keys[0])
    if found := difference(ours, expected):
        raise BenchError(f"our own output is wrong: {found}")
    if not has_member_per_object(ours, expected):
        raise BenchError("our own output has other members than one for each object")
    raw = sum(made.raw for made in objects)
    times: list[float] = []
    processors: list[ProcessorTime] = []
    for peer in PEERS:
        tell(f"{peer.name}, in turns with ours")
        turns = _beside(place, findings, peer, objects, expected)
        times += turns.ours
        processors += turns.our_time
    findings.rows.insert(0, Row(TASK, OURS, "S3 → S3", times, raw, note="right", processors=processors))


def _beside(
    place: Workplace, findings: Findings, peer: Peer, objects: list[GeneratedObject], expected: Expected
) -> Turns:
    """Measures one peer."""
    job = place.job(peer.module, SHARED_PREFIX, objects)
    runs: list[Ran] = []

    def theirs() -> float:
        runs.append(place.run(peer.module, job))
        return runs[-1].seconds

    turns = place.in_turns(lambda: findings.remember(ONE, place.build(SHARED, [FIRST_DAY])), theirs)
    verdict = _verdict(Path(job.output), expected) if peer.checked else ""
    note = "; ".join(filter(None, (verdict, peer.note)))
    whole = [run.whole for run in runs[-place.rounds :]]
    amount = sum(made.raw for made in objects)
    spent = turns.their_time if peer.seen else ()
    findings.rows.append(Row(TASK, peer.name, peer.way, turns.theirs, amount, whole, turns.times_faster, note, spent))
    if peer.times:
        findings.bars.append(at_least(f"filter, times as fast as {peer.name}", turns.times_faster, peer.times, "x"))
    elif not peer.checked:
        share = 100 * turns.times_faster
        findings.bars.append(at_least("filter, share of the speed of inflating alone", share, 50, "%"))
    return turns


def _verdict(output: Path, expected: Expected) -> str:
    found = difference(output, expected)
    output.unlink()
    return f"WRONG: {found}" if found else "right"
