"""Reads ranges of an object behind links that expire: an expired one is replaced, and other bytes are noticed."""

from __future__ import annotations

import re
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Callable, Final

from urllib3.exceptions import HTTPError

from telemetry_exhaust.errors import ExhaustError, LinkExpiredError
from telemetry_exhaust.http import Http, host, reason
from telemetry_exhaust.part_state import Object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from urllib3 import BaseHTTPResponse

_PARTIAL: Final = 206
_WHOLE: Final = 200
_GONE: Final = frozenset({401, 403, 404, 410})  # as stores answer links that have expired
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_LINKS: Final = 3  # new ones, one after the other, of which none works
_EMPTY: Final = 416


class AnotherObjectError(Exception):
    """The object has other bytes than before."""


class RangedReader:
    """An object of a store, behind a link that may expire at any time."""

    def __init__(self, http: Http, link: str, new_link: Callable[[], str]) -> None:
        """Take the first link, and how a new one is had; `new_link` raises when there is none."""
        self._http = http
        self._link = link
        self._new_link = new_link
        self._lock = Lock()

    def find(self) -> Object:
        """Return the object as it is now.

        Raises:
            ExhaustError: it cannot be had.
        """
        try:
            return self._found()
        except HTTPError as error:
            raise ExhaustError(f"{host(self._link)} cannot be read: {reason(error)}; see `exhaust doctor`") from error

    def _found(self) -> Object:
        with self._answer({"Range": "bytes=0-0"}) as answer:
            etag = answer.headers.get("ETag", "")
            told = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            if answer.status == _PARTIAL and told:
                return Object(etag, int(told[3]))
            if answer.status == _EMPTY and answer.headers.get("Content-Range", "") == "bytes */0":
                return Object(etag, 0)
            length = answer.headers.get("Content-Length", "")
            if answer.status == _WHOLE and length.isdecimal():
                return Object(etag, int(length))
        raise ExhaustError(f"{host(self._link)} does not tell the size of the download; see `exhaust doctor`")

    @contextmanager
    def open(self, expected: Object, start: int, end: int) -> Iterator[BaseHTTPResponse]:
        """Open some bytes of the object.

        Raises:
            AnotherObjectError: it has other bytes now.
            ExhaustError: it cannot be had.
        """
        headers = {"Range": f"bytes={start}-{end - 1}"}
        if expected.etag and not expected.etag.startswith("W/"):
            headers["If-Range"] = expected.etag
        with self._answer(headers) as answer:
            told = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            # Some stores answer a stale If-Range with the range of the new object, so what comes is looked at.
            if answer.headers.get("ETag", "") != expected.etag:
                raise AnotherObjectError
            if answer.status == _WHOLE and start == 0:
                yield answer
                return
            if answer.status != _PARTIAL or told is None or int(told[1]) != start or int(told[3]) != expected.size:
                raise AnotherObjectError
            yield answer

    @contextmanager
    def _answer(self, headers: dict[str, str]) -> Iterator[BaseHTTPResponse]:
        answer = self._opened(headers)
        try:
            yield answer
        finally:
            answer.close()
            answer.release_conn()

    def _opened(self, headers: dict[str, str]) -> BaseHTTPResponse:
        for _ in range(_LINKS):
            link = self._link
            answer = self._http.open(link, headers=headers)
            if answer.status in {_PARTIAL, _WHOLE, _EMPTY}:
                return answer
            status = answer.status
            answer.close()
            if status not in _GONE:
                raise HTTPError(f"the store answers {status}")
            self._replace(link)
        raise LinkExpiredError(
            f"{host(self._link)} refuses new links ({status}); check the clock of this machine with `exhaust doctor`"
        )

    def _replace(self, refused: str) -> None:
        """Get a new link, once for all who found the same one refused."""
        with self._lock:
            if self._link == refused:
                self._link = self._new_link()
