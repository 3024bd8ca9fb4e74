"""What was received and built, by dataset and day."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import LONG_AGO
from tests.integration.operations.conftest import BROKEN, Operator
from tests.support.command import use_store
from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from exhaust.s3.store import ObjectStore
    from exhaust.settings import S3RawBucketSettings

DATASET = "eks-consumption-raw"
ASKED = ("days", "--from", LONG_AGO.isoformat(), "--to", (LONG_AGO + timedelta(days=2)).isoformat())


@pytest.fixture(autouse=True)
async def _raw(objects: ObjectStore, s3_settings: S3RawBucketSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    use_store(s3_settings, monkeypatch)
    for key in (
        f"raw/{LONG_AGO}-1.json.gz",
        f"raw/{LONG_AGO}-2.json.gz",
        f"raw/deeper/{LONG_AGO}-3.json.gz",
        f"raw/{LONG_AGO - timedelta(days=1)}-1.json.gz",
        f"raw/{LONG_AGO + timedelta(days=2)}-z/deeper.json.gz",
        f"raw/{LONG_AGO + timedelta(days=2)}.json.gz",
        f"raw/{LONG_AGO + timedelta(days=60)}-1.json.gz",
        f"channel/in.ekstep/{LONG_AGO + timedelta(days=1)}-1.json.gz",
        "channel/in.ekstep/2026-99-99-1.json.gz",
    ):
        await objects.put(s3_settings.s3_raw_bucket, key, b"12345")


async def test_days_are_told_by_what_came_and_what_became_of_it(operator: Operator) -> None:
    done = await operator.requests.request(days=2, waiting=False)
    await operator.requests.request(days=3)
    [failed] = await operator.failed()
    async with operator.owner.transaction() as connection:
        await connection.execute("INSERT INTO request_days VALUES ($1, 1, $2, 1, 1)", done, LONG_AGO)
        await connection.execute(
            "UPDATE requests SET outcome = outcome || jsonb_build_object('day', $2::text) WHERE request_id = $1",
            failed,
            LONG_AGO.isoformat(),
        )
    told = await operator.asks(*ASKED)
    assert told["unseen"] == []
    rows = {(row.pop("dataset"), row.pop("day")): row for row in told["days"]}
    nothing = {"objects": 0, "bytes": 0, "resources": 0, "finished": 0, "failed": 0, "unreadableobjects": None}
    assert rows == {
        ("channel-raw", "2026-01-02"): nothing | {"objects": 1, "bytes": 5, "open": 0},
        (DATASET, "2026-01-01"): {
            "objects": 2,
            "bytes": 10,
            "resources": 1,
            "finished": 1,
            "open": 1,
            "failed": 1,
            "unreadableobjects": BROKEN,
        },
        (DATASET, "2026-01-02"): nothing | {"open": 2},
        (DATASET, "2026-01-03"): nothing | {"open": 1},
    }
    assert {row["dataset"] for row in (await operator.asks(*ASKED, "--dataset", "D002"))["days"]} == {DATASET}


async def test_a_day_of_an_earlier_attempt_is_finished_and_open(operator: Operator) -> None:
    request_id = await operator.requests.request(days=3)
    async with operator.owner.transaction() as connection:
        await connection.execute("UPDATE requests SET attempt = 2 WHERE request_id = $1", request_id)
        await connection.execute(
            "INSERT INTO request_days VALUES ($1, 1, $2, 1, 1), ($1, 1, $2 + 1, 1, 1), ($1, 2, $2, 1, 1)",
            request_id,
            LONG_AGO,
        )
    told = await operator.asks(*ASKED, "--dataset", "D002")
    found = [(row["resources"], row["finished"], row["open"]) for row in told["days"]]
    assert found == [(1, 1, 0), (1, 1, 1), (0, 0, 1)]


async def test_with_one_server_away_the_other_is_shown(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    await operator.requests.request()
    with monkeypatch.context() as only:
        only.setenv("EXHAUST_S3_ENDPOINT", f"http://127.0.0.1:{closed_port()}")
        told = await operator.asks(*ASKED)
        assert [(row["objects"], row["open"]) for row in told["days"]] == [(None, 1)]
        assert len(told["unseen"]) == 1
    with monkeypatch.context() as only:
        only.delenv("EXHAUST_POSTGRES_OWNER_DSN")
        only.setenv("EXHAUST_KAFKA_BOOTSTRAP", "127.0.0.1:1")
        told = await operator.asks(*ASKED)
        assert {(row["dataset"], row["open"]) for row in told["days"]} == {(DATASET, None), ("channel-raw", None)}
        assert told["unseen"] == ["the database, because EXHAUST_POSTGRES_OWNER_DSN is not set"]
    assert (await operator.run("days", "--from", "2026-01-02", "--to", "2026-01-01")).code == 2
