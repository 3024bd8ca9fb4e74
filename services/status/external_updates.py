"""The service that applies the reports of external jobs, which aggregate some datasets elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from exhaust.domain.object_keys import request_prefix
from exhaust.domain.requests import State, unknown_request
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.s3.errors import ObjectMissingError
from services.status.request_states import RefusedCompletionError

if TYPE_CHECKING:
    from uuid import UUID

    from exhaust.s3.store import ObjectStore
    from services.status.change_notifier import ChangeNotifier
    from services.status.request_states import RequestStates

EXTERNAL_FAILURE: Final = {"code": ErrorCode.INTERNAL_ERROR, "message": "the job that aggregated it reported a failure"}


class ExternalUpdates:
    """Applies updates. The download URL is never stored: it only names one of the request's own objects."""

    def __init__(self, states: RequestStates, objects: ObjectStore, changes: ChangeNotifier, *, bucket: str) -> None:
        self._states = states
        self._objects = objects
        self._changes = changes
        self._bucket = bucket

    async def apply(self, request_id: UUID, state: State, download_url: str) -> None:
        """Move a request as its present attempt allows; the same update again changes nothing.

        Args:
            request_id: the request.
            state: INPROGRESS, COMPLETE or FAILED.
            download_url: the archive of COMPLETE: s3://bucket/key, http(s)://host/bucket/key, or a key alone.

        Raises:
            ExhaustError: INVALID_REQUESTID for an unknown request, INVALID_DATA_ERROR when the URL does not name an
                object of the request.
        """
        outcome: dict[str, object] | None = None
        if state is State.COMPLETE:
            outcome = await self._find_archive(request_id, download_url)
        elif state is State.FAILED:
            outcome = dict(EXTERNAL_FAILURE)
        try:
            await self._states.update(request_id, state, outcome)
        except RefusedCompletionError as error:
            raise unknown_request() from error
        self._changes.notify(request_id)

    async def _find_archive(self, request_id: UUID, url: str) -> dict[str, object]:
        folder = request_prefix(request_id)
        try:
            path = unquote(urlsplit(url).path) if "://" in url else url
        except ValueError:
            path = ""
        _, found, name = path.partition(folder)
        key = f"{folder}{name}"
        if not found or not name or ".." in name or "\0" in name:
            raise ExhaustError(
                ErrorCode.INVALID_DATA_ERROR,
                f"request/downloadurl must name an object under {folder} of the exhaust bucket",
            )
        try:
            stored = await self._objects.head(self._bucket, key)
        except ObjectMissingError as error:
            raise ExhaustError(
                ErrorCode.INVALID_DATA_ERROR, "request/downloadurl names an object that does not exist"
            ) from error
        return {"key": key, "size": stored.size}
