"""The signed link to a finished download: what it opens, how long it lives, who is in the audit."""

import asyncio
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
import stamina
from yarl import URL

from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries
from exhaust.postgres.database import Database
from services.status.link_audit import REMEMBERED_FOR, LinkAudit
from services.status.settings import StatusSettings
from tests.integration.conftest import RequestFactory
from tests.integration.status.conftest import DOWNLOAD, Status, listed


async def test_the_audit_records_once_who_received_a_link(
    status: Status, link: URL, database: Database, request_id: UUID, caller: int
) -> None:
    assert link
    for _ in range(3):
        await asyncio.gather(status.of(request_id, caller), listed(status, caller))
    acts = await find_audit_entries(database, AuditFilter(action=Action.DOWNLOAD_LINK))
    assert [(act.actor, act.subject) for act in acts] == [(f"user/{caller}", f"request/{request_id}")]


class Clock:
    """Monotonic seconds that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_of_several_processes_one_records_a_link_in_an_hour_and_for_each_user_and_attempt(
    database: Database, owner_database: Database, request_factory: RequestFactory
) -> None:
    clock, user, other = Clock(), await request_factory.user(), await request_factory.user()
    first, second = sorted([await request_factory.request(user_id=user) for _ in range(2)])
    processes = [LinkAudit(database, clock, max_remembered=2) for _ in range(4)]

    async def recorded() -> list[tuple[str, str]]:
        acts = await find_audit_entries(database, AuditFilter(action=Action.DOWNLOAD_LINK))
        return sorted((act.actor, act.subject) for act in acts)

    async def shown(*links: tuple[int, UUID, int]) -> None:
        await asyncio.gather(*(process.record(links) for process in processes for _ in range(3)))

    await shown((user, first, 1), (other, first, 1), (user, second, 1), (user, first, 1))
    await shown((user, second, 1), (other, first, 1), (user, first, 1))
    wanted = [(f"user/{who}", f"request/{what}") for who, what in ((user, first), (user, second), (other, first))]
    assert await recorded() == sorted(wanted)

    clock.now += REMEMBERED_FOR.total_seconds()
    await owner_database.fetch("UPDATE audited_downloads SET recorded_at = recorded_at - interval '59 minutes'")
    await shown((user, first, 1))
    assert await recorded() == sorted(wanted)
    clock.now += REMEMBERED_FOR.total_seconds()
    await owner_database.fetch("UPDATE audited_downloads SET recorded_at = recorded_at - interval '1 minute'")
    await shown((user, first, 1))
    wanted.append((f"user/{user}", f"request/{first}"))
    assert await recorded() == sorted(wanted)
    await owner_database.fetch("UPDATE requests SET attempt = 2 WHERE request_id = $1", first)
    await shown((user, first, 2))
    wanted.append((f"user/{user}", f"request/{first}"))
    assert await recorded() == sorted(wanted)


async def test_the_link_downloads_the_archive_as_a_file(status: Status, link: URL) -> None:
    async with status.session.get(link) as answer:
        assert (answer.status, await answer.read()) == (200, DOWNLOAD)
        assert answer.content_disposition is not None
        assert answer.content_disposition.type == "attachment"
        assert answer.content_disposition.filename == "eks-consumption-raw_2026-01-01_2026-01-03.zip"
        assert answer.content_type == "application/zip"
        assert answer.headers["ETag"]


@pytest.mark.parametrize(
    ("asked", "first", "end"), [("bytes=0-0", 0, 1), ("bytes=1000-1999", 1000, 2000), ("bytes=-10", -10, None)]
)
async def test_the_link_gives_parts(status: Status, link: URL, asked: str, first: int, end: int | None) -> None:
    async with status.session.get(link, headers={"Range": asked}) as answer:
        assert (answer.status, await answer.read()) == (206, DOWNLOAD[first:end])
        assert answer.headers["Content-Range"].endswith(f"/{len(DOWNLOAD)}")


async def test_the_link_is_for_reading_that_one_object(status: Status, link: URL) -> None:
    another = link.with_path(link.path.replace("attempt-1", "attempt-2"), encoded=True, keep_query=True)
    for method, url in (("GET", another), ("PUT", link), ("DELETE", link), ("GET", link.with_query(None))):
        async with status.session.request(method, url) as answer:
            assert answer.status == 403, (method, url)


async def test_the_link_lives_an_hour_and_is_signed_at_each_reading(link: URL) -> None:
    assert StatusSettings.model_fields["link_lifetime"].default == timedelta(hours=1)
    assert parse_qs(urlsplit(str(link)).query)["X-Amz-Expires"] == ["3600"]


@pytest.mark.parametrize("link_lifetime", [timedelta(seconds=1)])
async def test_the_link_ends(status: Status, link: URL) -> None:
    async for attempt in stamina.retry_context(
        on=AssertionError, attempts=None, timeout=timedelta(seconds=30), wait_initial=0.1, wait_max=0.2
    ):
        with attempt:
            async with status.session.get(link) as answer:
                assert answer.status == 403


async def test_an_expired_download_is_told_as_expired(
    status: Status, link: URL, owner_database: Database, request_id: UUID, caller: int
) -> None:
    fresh = await status.result(request_id, caller)
    ends = datetime.fromisoformat(fresh["expiresat"])
    assert timedelta(days=6, hours=23) < ends - datetime.now(UTC) <= timedelta(days=7)
    assert "expired" not in fresh
    async with owner_database.transaction() as connection:
        await connection.execute(
            "UPDATE requests SET ended_at = ended_at - interval '7 days' WHERE request_id = $1", request_id
        )
    past = await status.result(request_id, caller)
    assert past["expired"] is True
    assert "downloadurl" not in past
    assert datetime.fromisoformat(past["expiresat"]) == ends - timedelta(days=7)
    assert link
