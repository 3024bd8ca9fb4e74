"""The invariants of downloads and objects: right to the byte, nobody else's, and nothing left lying about."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import zipfile
from typing import TYPE_CHECKING, Final

from tests.chaos.history import CANCELLED, COMPLETE, FAILED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.chaos.checks.facts import Facts, Row
    from tests.chaos.clients import Clients
    from tests.chaos.history import Submit
    from tests.chaos.rig import Rig

_AT_ONCE: Final = 4
_WORK: Final = r"requests/(?P<id>[0-9a-f-]{36})/attempt-(?P<attempt>[0-9]+)"
_KNOWN: Final = (
    re.compile(rf"{_WORK}/cancelled"),
    re.compile(rf"{_WORK}/[0-9a-f]{{16}}/(outcome|partial)\.json"),
    re.compile(rf"{_WORK}/[0-9a-f]{{16}}/days/[0-9-]{{10}}(\.failed)?\.json"),
    re.compile(rf"{_WORK}/[0-9a-f]{{16}}/partial-[0-9a-f]+\.zip"),
    re.compile(rf"{_WORK}/[0-9a-f]{{16}}/[A-Za-z0-9._-]+_[0-9-]{{10}}_[0-9-]{{10}}\.zip"),
)
_DAY: Final = re.compile(r"days/(?P<place>[A-Za-z0-9._-]+/[A-Za-z0-9._-]+/[0-9-]{10}/[0-9a-f]+)\.zip")
_SUMMARY: Final = re.compile(r"records/(?P<place>.+)\.json")


class Downloads:
    """The downloads of a system, held against the oracle. Each object is fetched once."""

    def __init__(self, rig: Rig, clients: Clients, scratch: Path) -> None:
        self._rig = rig
        self._clients = clients
        self._scratch = scratch
        self._judged: dict[str, tuple[str, list[str], list[str]]] = {}

    async def check(self, facts: Facts) -> tuple[list[str], list[str]]:
        """Return the violations of I4 and those of I7."""
        wrong: list[str] = []
        foreign: list[str] = []
        slots = asyncio.Semaphore(_AT_ONCE)

        async def look(submit: Submit, row: Row) -> None:
            async with slots:
                i4, i7 = await self._download(submit, row)
                wrong.extend(i4)
                foreign.extend(i7)

        by_username = {submit.username: submit for submit in self._rig.history.submits}
        rows = [row for row in facts.rows.values() if row.state == COMPLETE and row.username in by_username]
        await asyncio.gather(*(look(by_username[row.username], row) for row in rows))
        wrong += _answers(self._rig.history.submits)
        return wrong, foreign

    async def _download(self, submit: Submit, row: Row) -> tuple[list[str], list[str]]:
        key = str(row.outcome.get("key"))
        if key in self._judged and self._judged[key][0] == str(row.outcome):
            return self._judged[key][1:]
        wrong: list[str] = []
        status, data = await self._rig.store.call("GET", self._rig.stack.s3.exhaust_bucket, key)
        if status != 200:
            return [f"request {row.id} is complete, and its download {key} answers {status}"], []
        if len(data) != row.outcome.get("size"):
            wrong.append(f"the download of {row.id} has {len(data)} bytes, not {row.outcome.get('size')}")
        digest = row.outcome.get("sha256")
        if digest is not None and digest != hashlib.sha256(data).hexdigest():
            wrong.append(f"the download of {row.id} has another SHA-256 than its outcome says")
        if not row.outcome.get("digest"):
            wrong.append(f"the outcome of {row.id} has no digest")
        asked = submit.asked
        wrong += [f"{row.id}: {found}" for found in self._rig.raw.differences(asked, data, self._scratch)]
        count = self._rig.raw.foreign_lines(asked, _lines(data)) if wrong else 0
        foreign = [f"the download of {row.id} has {count} lines of other tenants"] if count else []
        self._judged[key] = (str(row.outcome), wrong, foreign)
        return wrong, foreign


def _answers(submits: list[Submit]) -> Iterator[str]:
    """What clients were told: a complete request has a link, a failed one has none."""
    for submit in submits:
        for _, result in submit.seen[-1:]:
            if result.get("status") == COMPLETE and not str(result.get("downloadurl", "")).startswith("http"):
                yield f"request {submit.request_id} is told complete without a link: {sorted(result)}"
            if result.get("status") == FAILED and "downloadurl" in result:
                yield f"request {submit.request_id} is told failed with a link"
            if result.get("status") == FAILED and not result.get("error"):
                yield f"request {submit.request_id} is told failed without a reason"


def nothing_lies_about(facts: Facts) -> Iterator[str]:
    """I5."""
    for key in facts.uploads:
        yield f"the multipart upload of {key} is still open"
    summaries = {found["place"] for key in facts.objects if (found := _SUMMARY.fullmatch(key))}
    for key in sorted(facts.objects):
        day = _DAY.fullmatch(key)
        if day is not None:
            if day["place"] not in summaries and not _was_given_up(day["place"], facts):
                yield f"{key} has no summary"
        elif _SUMMARY.fullmatch(key) is None:
            found = next(filter(None, (pattern.fullmatch(key) for pattern in _KNOWN)), None)
            row = facts.rows.get(found["id"]) if found else None
            if found is None or row is None or int(found["attempt"]) > row.attempt:
                yield f"{key} belongs to nothing"


def _was_given_up(place: str, facts: Facts) -> bool:
    """Return True when a cancelled request wanted this day: nobody comes back to finish it, and it expires."""
    dataset, resource, day, _ = place.split("/")
    return any(
        row.state == CANCELLED
        and (row.asked[0], row.asked[2]) == (dataset, resource)
        and row.asked[3] <= day <= row.asked[4]
        for row in facts.rows.values()
    )


def _lines(download: bytes) -> list[bytes]:
    found: list[bytes] = []
    try:
        with zipfile.ZipFile(io.BytesIO(download)) as outer:
            for name in outer.namelist():
                if name.endswith(".zip"):
                    with zipfile.ZipFile(io.BytesIO(outer.read(name))) as inner:
                        found += [line for member in inner.namelist() for line in inner.read(member).splitlines()]
    except (zipfile.BadZipFile, ValueError):
        return found
    return found
