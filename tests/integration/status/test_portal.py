"""The portal before the status service: strips of real states, estimates, and what a choice is refused for."""

from __future__ import annotations

from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import aiohttp
import pytest

from exhaust.domain.object_keys import day_summaries_prefix, day_summary_key
from tests.integration.conftest import PARTNER, RESOURCE, RequestFactory, today
from tests.integration.status.test_days import DATASET, EMPTY, MISSING
from tests.support.portal_visitor import Visitor
from tests.unit.aggregator.archive.test_day_summary import SUMMARY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exhaust.postgres.database import Database
    from exhaust.s3.store import ObjectStore
    from exhaust.settings import S3RawBucketSettings
    from tests.integration.conftest import Gateway

CHOICE = {
    "dataset": DATASET,
    "resource": RESOURCE,
    "kind": "resource",
    "partner": PARTNER,
    "first": str(today(-5)),
    "last": str(today(-2)),
}


@pytest.fixture
async def visitor(door: Gateway) -> AsyncIterator[Visitor]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        opened = Visitor(session, door.base)
        assert (await opened.sign_in(door.license_key)).status == 303
        yield opened


@pytest.fixture
async def built(objects: ObjectStore, s3_settings: S3RawBucketSettings) -> AsyncIterator[None]:
    """Archives of RESOURCE for four of the last days."""
    for offset, summary in ((-5, SUMMARY), (-4, SUMMARY), (-3, EMPTY), (-2, MISSING)):
        written = replace(summary, day=today(offset), tags=()).to_json()
        key = day_summary_key(DATASET, RESOURCE, today(offset), "aa")
        await objects.put(s3_settings.s3_exhaust_bucket, key, written)
    yield
    await objects.delete_prefix(s3_settings.s3_exhaust_bucket, day_summaries_prefix(DATASET, RESOURCE))


@pytest.mark.usefixtures("built")
async def test_the_strip_of_a_grant_shows_the_states_of_its_days(
    visitor: Visitor, request_factory: RequestFactory, owner_database: Database
) -> None:
    request_id = await request_factory.request()
    await owner_database.fetch(
        "UPDATE requests SET tags = '{}', from_date = $2, to_date = $2 WHERE request_id = $1 RETURNING tags",
        request_id,
        today(-6),
    )
    page = await visitor.get("")
    assert page.status == 200
    own = page.text.split(f">{PARTNER}</h2>")[1].split("</section>")[0]  # the name that its request tells
    for offset, state, title in (
        (-7, "unknown", "not asked for yet"),
        (-6, "building", "being built"),
        (-5, "ready", "ready, 3 events"),
        (-3, "empty", "without events"),
        (-2, "missing", "nothing was received"),
    ):
        day = today(offset)
        assert f'data-day="{day}" title="{day}: {title}"' in own
        assert own.split(f'data-day="{day}"')[0].rsplit('class="', 1)[1].split()[0].rstrip('"') == state
    assert "could not be seen" not in page.text
    assert "2 ready" in own


@pytest.mark.usefixtures("built")
async def test_the_page_of_asking_estimates(visitor: Visitor) -> None:
    page = await visitor.get(f"/ask?{urlencode(CHOICE | {'first': str(today(-8))})}")
    assert page.status == 200
    for term, figure in (("days", "7"), ("built already", "4"), ("to be built", "3"), ("ready in", "not known yet")):
        assert f"<dt>{term}</dt><dd>{figure}</dd>" in page.text
    assert " KiB</dd>" in page.text.split("<dt>size</dt>")[1]


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"first": "2026-02-30"}, 400, "The first day must be a day of the calendar"),
        ({"last": "soon"}, 400, "The last day must be a day of the calendar"),
        ({"first": str(today(-40)), "last": str(today(-1))}, 400, "40 days"),
        ({"last": str(today())}, 400, str(today())),
        ({"first": str(today(-1)), "last": str(today(-2))}, 400, str(today(-1))),
        ({"partner": "org.example.stranger"}, 403, "partnerid"),
    ],
)
async def test_a_wrong_choice_is_refused_before_it_is_asked_for(
    visitor: Visitor, change: dict[str, str], code: int, said: str
) -> None:
    page = await visitor.get(f"/ask?{urlencode(CHOICE | change)}")
    assert page.status == code
    alert = unescape(page.text.split('role="alert">')[1].split("</p>")[0])
    assert said in alert
    assert 'name="first"' in page.text
    assert "Submit" not in page.text


async def test_a_grant_without_a_plain_id_takes_it_from_a_request(
    visitor: Visitor, request_factory: RequestFactory, owner_database: Database
) -> None:
    assert PARTNER not in (await visitor.get("")).text
    row = await owner_database.fetch_one("SELECT id FROM data_exhaust_users WHERE client_name = 'client'")
    assert row is not None
    await request_factory.request(user_id=row["id"])
    assert f'name="partner" value="{PARTNER}"' in (await visitor.get("")).text


async def test_a_request_that_waits_shows_its_days(
    visitor: Visitor, request_factory: RequestFactory, owner_database: Database
) -> None:
    row = await owner_database.fetch_one("SELECT id FROM data_exhaust_users WHERE client_name = 'client'")
    assert row is not None
    request_id = await request_factory.request(user_id=row["id"], days=3)
    page = await visitor.get(f"/requests/{request_id}")
    assert page.status == 200
    assert page.text.count("data-day=") == 3
    assert "state not seen" not in page.text


async def test_cancel_and_retry_of_a_real_request(
    visitor: Visitor, request_factory: RequestFactory, owner_database: Database, database: Database
) -> None:
    row = await owner_database.fetch_one("SELECT id FROM data_exhaust_users WHERE client_name = 'client'")
    assert row is not None
    request_id = await request_factory.request(user_id=row["id"], days=2)
    page = f"/requests/{request_id}"
    assert "Cancel" in (await visitor.get(page)).text
    assert (await visitor.send(f"{page}/retry")).status >= 400  # it is not failed
    seen = await visitor.send(f"{page}/cancel")
    assert (seen.status, seen.location) == (303, f"/portal{page}")
    ended = (await visitor.get(page)).text
    assert "cancelled" in ended
    assert "Retry" not in ended
    await owner_database.fetch(
        "UPDATE requests SET state = 'failed', outcome = $2 WHERE request_id = $1 RETURNING state",
        request_id,
        {"code": "SOURCE_OBJECT_UNREADABLE", "day": "2026-01-02"},
    )
    failed = (await visitor.get(page)).text
    assert ">Retry</button>" in failed
    assert 'href="/help#SOURCE_OBJECT_UNREADABLE"' in failed
    seen = await visitor.send(f"{page}/retry")
    assert (seen.status, seen.location) == (303, f"/portal{page}")
    assert ">Cancel</button>" in (await visitor.get(page)).text
    row = await database.fetch_one("SELECT state, attempt FROM requests WHERE request_id = $1", request_id)
    assert row is not None
    assert (row["state"], row["attempt"]) == ("submitted", 2)
