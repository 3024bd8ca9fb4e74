"""POST /v2/datasets/…: check a request, file it and let it wait in the outbox, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from exhaust import outbox
from exhaust.audit import record_action
from exhaust.days import requested_days, today_in
from exhaust.envelope import Operation, required
from exhaust.errors import ErrorCode
from exhaust.http_edge import RETRY_AFTER_S, Answer
from exhaust.requests import DatasetRequest, parse_resource, parse_tags

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from exhaust.http_edge import Call
    from exhaust.postgres import Connection, Database
    from services.gateway.access import Access

SUBMIT: Final = Operation("ekstep.data_exhaust_dataset_service", "2.0")

_INSERT: Final = """
INSERT INTO requests
    (request_id, user_id, partner_id, username, dataset_id, resource, from_date, to_date, tags, days_total)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (user_id, dataset_id, resource, from_date, to_date, tags) WHERE state IN ('submitted', 'inprogress')
DO NOTHING
RETURNING request_id
"""
_SAME: Final = """
SELECT request_id FROM requests
WHERE user_id = $1 AND dataset_id = $2 AND resource = $3 AND from_date = $4 AND to_date = $5 AND tags = $6
ORDER BY created_at DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Submitter:
    """The person behind a request."""

    user_id: int
    partner_id: str
    username: str


class Submission:
    """Files requests."""

    def __init__(self, database: Database, access: Access, *, zone: ZoneInfo, filed: Callable[[], None]) -> None:
        """Prepare.

        Args:
            database: with the runtime role.
            access: who may ask for what.
            zone: in which "today" is.
            filed: told after a request was committed, so that it need not wait for the relay's next round.
        """
        self._database = database
        self._access = access
        self._zone = zone
        self._filed = filed

    async def submit(self, call: Call) -> Answer:
        """Answers 202 with the request id, after request and outbox row are committed."""
        part = call.part
        client = await self._access.authenticate(part)
        submitter = Submitter(
            client.user_id,
            required(part.partner_id, ErrorCode.MISSING_PARTNERID, "partnerid"),
            required(part.username, ErrorCode.MISSING_USERNAME, "username"),
        )
        resource = parse_resource(call.path("resourceId"))
        days = requested_days(call.optional_path("fromDate"), call.optional_path("toDate"), today=today_in(self._zone))
        query = call.http.query
        tags = parse_tags([*query.getall("tags[]", ()), *query.getall("tags", ())])
        await self._access.authorize_partner(client, submitter.partner_id)
        dataset = await self._access.authorize(client, call.path("datasetId"), resource)
        request_id = await self._file(
            DatasetRequest(uuid4(), dataset.id, resource, days, tags), submitter, call.traceparent
        )
        return Answer(
            {"requestid": str(request_id)},
            status=202,
            headers={
                "Location": f"/v2/datasets/requests/status/{request_id}",
                "Retry-After": str(RETRY_AFTER_S),
            },
        )

    async def _file(self, request: DatasetRequest, submitter: Submitter, traceparent: str) -> UUID:
        """The id of the filed request, or of an identical one that is still in progress."""
        async with self._database.transaction() as connection:
            inserted = await connection.fetch_one(
                _INSERT,
                request.request_id,
                submitter.user_id,
                submitter.partner_id,
                submitter.username,
                request.dataset,
                request.resource,
                request.days.first,
                request.days.last,
                list(request.tags),
                len(request.days),
            )
            if inserted is None:
                return await self._same(connection, request, submitter)
            await outbox.put(connection, request.request_id, 1, traceparent)
            await record_action(
                connection,
                actor=f"user/{submitter.user_id}",
                action="submit",
                subject=f"request/{request.request_id}",
                detail={"partner": submitter.partner_id, "username": submitter.username},
            )
        self._filed()
        return request.request_id

    async def _same(self, connection: Connection, request: DatasetRequest, submitter: Submitter) -> UUID:
        # It may have finished since the INSERT met it; then its download is as good as a new one.
        row = await connection.fetch_one(
            _SAME,
            submitter.user_id,
            request.dataset,
            request.resource,
            request.days.first,
            request.days.last,
            list(request.tags),
        )
        if row is None:
            raise LookupError("the identical request vanished; requests are never deleted")
        found: UUID = row["request_id"]
        return found
