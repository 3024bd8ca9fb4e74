"""The rehearsal of docs/operations/backup-and-restore.md: dump, wipe, restore, and ask for every request."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from deploy.local.postgres import programs
from tests.conftest import ROOT
from tests.recovery.figures import by_number
from tests.recovery.testbed import FOLDER, open_testbed
from tests.runbooks import faults
from tests.runbooks.operator import operator_in
from tests.runbooks.pages import sections
from tests.support.doc_examples import BLOCK

if TYPE_CHECKING:
    from tests.recovery.testbed import Testbed

PAGE: Final = ROOT / "docs" / "operations" / "backup-and-restore.md"
NAME: Final = "backup-and-restore"
SERVICES: Final = ("gateway", "status", "console")
OPEN: Final = 2
_LINK: Final = "downloadurl"
_COUNT: Final = """
SELECT (SELECT count(*) FROM requests) AS requests, (SELECT count(*) FROM license_keys) AS license_keys,
       (SELECT count(*) FROM data_exhaust_users_resources) AS grants, (SELECT count(*) FROM audit) AS audit
"""
_NOT_FOUND: Final = 404


async def rehearse_restore() -> str:
    """Rehearse the page, and return what was seen.

    Raises:
        AssertionError: something is not as before.
    """
    async with open_testbed(others=(), start=faults.start, EXHAUST_NO_PROGRESS_AFTER="PT1M") as bed:
        os.environ["PATH"] = f"{programs()}:{os.environ['PATH']}"
        ended = await faults.some_requests(bed)
        await ended.all_complete()
        faults.killed(bed, "aggregator")
        waiting = await faults.some_requests(bed, OPEN)
        before = {request: await _status(bed, request) for request in ended.accepted}
        operator = operator_in(FOLDER / "operator", bed.database)
        await operator.mend(_blocks("Back up"), {})
        rows = await _rows(bed)
        late = await faults.some_requests(bed, 1)
        for name in SERVICES:
            faults.killed(bed, name)
        await bed.database.fetch("DROP SCHEMA public CASCADE")
        await bed.database.fetch("CREATE SCHEMA public")
        await operator.mend(_blocks("Restore"), {})
        assert await _rows(bed) == rows
        assert {request: await _status(bed, request) for request in ended.accepted} == before
        assert (await bed.partner.status(late.accepted[0])).status == _NOT_FOUND
        await waiting.all_complete()
    return (
        f"{len(before)} requests that had ended are as before, with the same rows; {OPEN} that were open are complete; "
        f"the one of after the dump is unknown ({by_number(rows)})"
    )


def _blocks(heading: str) -> list[tuple[str, str]]:
    return BLOCK.findall(sections(PAGE.read_text())[heading])


async def _status(bed: Testbed, request: str) -> dict[str, Any]:
    """What its partner reads; the link is signed anew each time, and has to lead to the download."""
    result = (await bed.partner.status(request)).result
    async with bed.http.get(result[_LINK]) as answer:
        assert answer.status == 200
        size = len(await answer.read())
    return {name: value for name, value in result.items() if name != _LINK} | {"size": size}


async def _rows(bed: Testbed) -> dict[str, int]:
    row = await bed.database.fetch_one(_COUNT)
    assert row is not None
    return dict(row)
