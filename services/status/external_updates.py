"""The service that applies the reports of external jobs, which aggregate some datasets elsewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from exhaust_contract.archive_keys import MAX_KEY_BYTES

from exhaust.domain.object_keys import request_prefix
from exhaust.domain.requests import unknown_request
from exhaust.domain.state_machine import State
from exhaust.domain.text import is_storable_text
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.kafka.records import RejectionCode
from services.status.archive_check import external_archive
from services.status.claims import RefusedCompletionError, place_of

if TYPE_CHECKING:
    from uuid import UUID

    from exhaust.postgres.request_progress import StandingRequest
    from services.status.archive_check import ArchiveCheck
    from services.status.change_notifier import ChangeNotifier
    from services.status.request_states import RequestStates

EXTERNAL_FAILURE: Final = {"code": ErrorCode.INTERNAL_ERROR, "message": "the job that aggregated it reported a failure"}


# What only the aggregator writes, and the status service, under the prefix of a request.
_OWN_OBJECTS: Final = re.compile(r"attempt-[0-9]+/(?:[0-9a-f]{16}/.*|days/.*|outcome\.json|cancelled)", re.DOTALL)


class ExternalUpdates:
    """Applies updates. The download URL is never stored: it only names one of the request's own objects."""

    def __init__(self, states: RequestStates, archives: ArchiveCheck, changes: ChangeNotifier) -> None:
        self._states = states
        self._archives = archives
        self._changes = changes

    async def apply(self, request_id: UUID, state: State, download_url: str) -> None:
        """Move a request as its present attempt allows; a request that has ended stays as it is.

        Args:
            request_id: the request.
            state: INPROGRESS, COMPLETE or FAILED.
            download_url: the archive of COMPLETE: s3://bucket/key, http(s)://host/bucket/key, or a key alone.

        Raises:
            ExhaustError: INVALID_REQUESTID for an unknown request, INVALID_DATA_ERROR when the URL does not name an
                archive of the request.
        """
        try:
            request = await self._states.standing(request_id)
            outcome: dict[str, Any] | None = None
            if state is State.COMPLETE:
                outcome = await self._find_archive(request, download_url)
            elif state is State.FAILED:
                outcome = dict(EXTERNAL_FAILURE)
            await self._states.update(request_id, state, outcome)
        except RefusedCompletionError as error:
            if error.code is RejectionCode.UNKNOWN_REQUEST:
                raise unknown_request() from error
            raise ExhaustError(
                ErrorCode.INVALID_DATA_ERROR, f"request/downloadurl names no archive of this request: {error}"
            ) from error
        self._changes.notify(request_id)

    async def _find_archive(self, request: StandingRequest, url: str) -> dict[str, Any]:
        folder = request_prefix(request.asked.request_id)
        try:
            path = unquote(urlsplit(url).path) if "://" in url else url
        except ValueError:
            path = ""
        _, found, name = path.partition(folder)
        key = f"{folder}{name}"
        if not found or not name or ".." in name or not is_storable_text(name) or len(key.encode()) > MAX_KEY_BYTES:
            raise ExhaustError(
                ErrorCode.INVALID_DATA_ERROR,
                f"request/downloadurl must name an object under {folder} of the exhaust bucket",
            )
        if key == place_of(request.asked, request.attempt).archive_key:
            return await self._archives.own_outcome(request.asked, request.attempt, await self._archives.head(key))
        if _OWN_OBJECTS.fullmatch(name):
            raise ExhaustError(
                ErrorCode.INVALID_DATA_ERROR, "request/downloadurl names an object of the aggregator that is no archive"
            )
        return external_archive(await self._archives.head(key))
