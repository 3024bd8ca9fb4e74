"""The command behind `make rehearse`: make the fault of each runbook, see its alert, do what the page says.

The stack is one of its own, started as `make up` starts it. A real Prometheus scrapes it every second and evaluates
deploy/prometheus/rules.yaml, in which ranges, waits and ages are a thirtieth of what they are, or less.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from bench.machine import machine
from tests.recovery.testbed import FOLDER, open_testbed, until
from tests.runbooks import faults
from tests.runbooks.alerting import Alerting, open_alerting
from tests.runbooks.hurried_rules import FASTER
from tests.runbooks.operator import CommandFailedError, operator_in
from tests.runbooks.pages import commands, write_rehearsed
from tests.runbooks.restore import NAME, rehearse_restore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from tests.recovery.testbed import Testbed

    Fault = Callable[[Testbed], AbstractAsyncContextManager[dict[str, str]]]

COMES_WITHIN_S: Final = 150.0
GOES_WITHIN_S: Final = 180.0
QUIET_WITHIN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A fault, the settings of the stack that it needs, and how much faster the time of the rules runs."""

    fault: Fault
    settings: Mapping[str, str] = field(default_factory=dict)
    faster: int = FASTER


FEW_CORES: Final = {"EXHAUST_CORES": "1", "EXHAUST_MAX_IN_FLIGHT_PER_PARTNER": "60"}
REHEARSALS: Final[dict[str, Rehearsal]] = {
    "NobodyReads": Rehearsal(faults.no_aggregator),
    "Stuck": Rehearsal(faults.no_store),
    "Rewound": Rehearsal(faults.offsets_set_back),
    "OldestTooOld": Rehearsal(faults.more_than_can_be_done, FEW_CORES, faster=300),
    "WillMissTarget": Rehearsal(faults.more_than_can_be_done, FEW_CORES, faster=300),
    "Blind": Rehearsal(faults.no_console),
    "Failures": Rehearsal(faults.wrong_catalogue),
    "SourceUnreadable": Rehearsal(faults.damaged_object),
    "Reaped": Rehearsal(
        faults.no_aggregator,
        {"EXHAUST_NO_PROGRESS_AFTER": "PT1M", "EXHAUST_MAX_ATTEMPTS": "1", "EXHAUST_REAP_INTERVAL": "PT1S"},
    ),
    "DeadLetters": Rehearsal(faults.no_events),
    "Undelivered": Rehearsal(faults.old_letter),
    "SubmitErrors": Rehearsal(faults.no_database),
    "SubmitSlow": Rehearsal(faults.locked_outbox),
}


async def rehearse(alert: str) -> str:
    """Rehearse a runbook, and return what was seen."""
    rehearsal = REHEARSALS[alert]
    async with (
        open_testbed(others=(), start=faults.start, **rehearsal.settings) as bed,
        open_alerting(bed.http, bed.stack, FOLDER / "prometheus", rehearsal.faster) as alerting,
    ):
        await until(alerting.has_scraped, QUIET_WITHIN_S)
        await until(lambda: _is_quiet(alerting, alert), QUIET_WITHIN_S)
        operator = operator_in(FOLDER / "operator", bed.database)
        began = time.monotonic()
        async with rehearsal.fault(bed) as variables:
            await alerting.fires(alert, COMES_WITHIN_S)
            came, firing = time.monotonic() - began, await alerting.firing()
            await operator.look(commands(alert, "Look"), variables)
            began = time.monotonic()
            await operator.mend(commands(alert, "Mend"), variables)
            await alerting.is_over(alert, GOES_WITHIN_S)
            went = time.monotonic() - began
        await operator.look(commands(alert, "How to know it is over"), variables)
    return _told(alert, rehearsal, came, firing, went)


async def _is_quiet(alerting: Alerting, alert: str) -> bool:
    """True when nothing fires but what a time that runs much faster makes fire, since scrapes do not."""
    firing = await alerting.firing()
    return not firing if REHEARSALS[alert].faster == FASTER else alert not in firing


def _told(alert: str, rehearsal: Rehearsal, came: float, firing: dict[str, str], went: float) -> str:
    others = ", ".join(sorted(set(firing) - {alert})) or "none"
    where = machine()
    settings = "".join(f" `{name}={value}`." for name, value in rehearsal.settings.items())
    return (
        f"{rehearsal.fault.__doc__}{settings} `make rehearse ONLY={alert}` does it again, with the ranges, waits and "
        f"ages of the rules divided by {rehearsal.faster}. Seen on {datetime.now(UTC):%Y-%m-%d} with "
        f"{where['cores']} cores:\n\n"
        "| what | seen |\n| --- | --- |\n"
        f"| the alert fired after | {came:.0f} s |\n"
        f"| it said | {firing[alert]} |\n"
        f"| other alerts that fired then | {others} |\n"
        f"| from the first command under Mend until it fired no longer | {went:.0f} s |"
    )


def main() -> int:
    """Rehearse the runbooks that the command line names; return 0 when each alert came and went."""
    parser = argparse.ArgumentParser(prog="python -m tests.runbooks", description=__doc__)
    parser.add_argument("--only", action="append", choices=[*sorted(REHEARSALS), NAME], help="one runbook; may repeat")
    parser.add_argument("--write", action="store_true", help="put what was seen into docs/runbooks")
    options = parser.parse_args()
    code = 0
    for alert in options.only or [*REHEARSALS, NAME]:
        began = time.monotonic()
        try:
            facts = asyncio.run(rehearse_restore() if alert == NAME else rehearse(alert))
        except (AssertionError, CommandFailedError, TimeoutError) as error:
            print(f"{alert}: {type(error).__name__}: {error}", flush=True)
            code = 1
            continue
        print(f"{alert} ({time.monotonic() - began:.0f} s)\n{facts}\n", flush=True)
        if options.write and alert in REHEARSALS:
            write_rehearsed(alert, facts)
    return code


if __name__ == "__main__":
    sys.exit(main())
