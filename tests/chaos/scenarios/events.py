"""Records that come twice, late and in another order, and records that are poison."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from tests.chaos.checks.facts import COMPLETIONS, DAYS, REQUESTS
from tests.chaos.clients import load
from tests.chaos.poison import CODECS, kinds, open_producer, plant
from tests.chaos.scenario import Scenario
from tests.conftest import ROOT

if TYPE_CHECKING:
    from tests.chaos.kafka_log import Stored
    from tests.chaos.scenario import Run

PER_SECOND: Final = 5.0
REPLAYED: Final = 40  # records of each topic in a round
ROUND_S: Final = 2.0
POISON_SHARE: Final = 0.1
_RECORDS_A_REQUEST: Final = 5  # on all topics together, on the average
_PERMUTATIONS: Final = ("tests/unit/domain/test_state_machine.py", "tests/integration/states/test_any_order.py")


async def _replay(run: Run) -> None:
    """Send what was sent before once more, in another order, while the work goes on."""
    run.timeline.due |= {f"replay of {topic}" for topic in (REQUESTS, DAYS, COMPLETIONS)}
    async with load(run.clients, PER_SECOND), open_producer(run) as producer:
        for _ in range(run.count):
            await run.rig.raw.add_days(2)
            await asyncio.sleep(ROUND_S)
            for topic in (REQUESTS, DAYS, COMPLETIONS):
                records = list(run.rig.topics.records(topic))
                chosen = [run.random.choice(records) for _ in range(REPLAYED)] + records[-REPLAYED:]
                run.random.shuffle(chosen)
                for record in chosen:
                    await _send_again(producer, record)
                run.timeline.fault(f"replay of {topic}", f"{len(chosen)} records")
            await producer.flush()


async def _send_again(producer: Any, record: Stored) -> None:
    headers = [(name.decode(), value) for name, value in record.headers]
    await producer.send(record.topic, record.value, key=record.key, headers=headers)


async def _poison(run: Run) -> None:
    """Plant each kind of poison with each codec among the records of a load, one for nine of the others."""
    run.timeline.due |= {f"poison by {codec or 'no codec'}" for codec in CODECS}
    every_s = 1 / (PER_SECOND * _RECORDS_A_REQUEST * POISON_SHARE)
    async with load(run.clients, PER_SECOND):
        for _ in range(run.count):
            for codec in CODECS:
                chosen = kinds()
                run.random.shuffle(chosen)
                async with open_producer(run, compression_type=codec) as producer:
                    for poison in chosen:
                        await plant(run, producer, poison)
                        run.timeline.fired[f"poison by {codec or 'no codec'}"] += 1
                        await asyncio.sleep(every_s)
                await run.rig.raw.add_days(1)
                run.timeline.note(f"{len(chosen)} kinds of poison by {codec or 'no codec'}")


async def _permute(run: Run) -> None:
    """Have the property tests of the state machine look at so many examples, in memory and on PostgreSQL."""
    environment = os.environ | {"EXHAUST_EXAMPLES": str(run.count), "EXHAUST_TEST_SERVERS": "test-chaos-states"}
    program = (sys.executable, "-m", "pytest", "-q", "--timeout=1500", f"--hypothesis-seed={run.rig.raw.seed}")
    process = await asyncio.create_subprocess_exec(
        *program, *_PERMUTATIONS, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    run.timeline.fired["example of true and forged events in any order"] += run.count
    if process.returncode:
        run.timeline.wrong.append(told.decode(errors="replace")[-4000:])


REPLAYS: Final = Scenario("replays", _replay, short=10, long=100)
POISON: Final = Scenario("poison", _poison, short=1, long=5)
PERMUTATIONS: Final = Scenario("permutations", _permute, short=500, long=5000)
