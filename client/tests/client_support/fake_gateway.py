"""A gateway and a store in this process: they answer as the real ones do, as far as this package asks.

tests/acceptance/test_partners_package.py runs the same contract against the real ones.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Callable, Final
from urllib.parse import parse_qs, unquote, urlsplit

from client_support.downloads import download

if TYPE_CHECKING:
    from types import TracebackType

KEY: Final = "0b5a2c9e-7d0f-4f4b-9d38-6a1f6a4a1c11"
OWNER: Final = "org.test"
_SUBMIT: Final = re.compile(r"/v2/datasets/([^/]+)/([^/]+)/([0-9-]+)/([0-9-]+)")
_STATUS: Final = re.compile(r"/v2/datasets/requests/status/([^/]+)")
_LIST: Final = re.compile(r"/v2/datasets/requests/([^/]+)")
_RANGE: Final = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass
class Request:
    """A request as the fake keeps it."""

    id: str
    fields: dict[str, Any]
    first: date
    last: date
    data: bytes
    ready_at: float
    error: dict[str, str] | None = None
    expired: bool = False


@dataclass
class Behaviour:
    """How the fake behaves; tests change it while it runs.

    Attributes:
        seconds: that a request takes.
        link_uses: answers that a link is good for.
        cut: is asked how many of the bytes of an answer arrive.
        refusals: (status, headers) of the next calls of the API.
    """

    events: int = 20
    seconds: float = 0.0
    link_uses: int = 1_000_000
    cut: Callable[[int], int] = lambda size: size
    refusals: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    failing: frozenset[date] = frozenset()
    sha256: bool = True
    data: Callable[[bytes], bytes] = lambda data: data
    ignores_if_range: bool = False


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: callers are killed, and go away."""


class FakeGateway:
    """The fake; `submits`, `served` and `links` tell what was asked of it."""

    def __init__(self) -> None:
        self.behaviour = Behaviour()
        self.requests: dict[str, Request] = {}
        self.keys: dict[str, str] = {}
        self.links: dict[str, int] = {}
        self.submits = 0
        self.served = 0
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def environment(self) -> dict[str, str]:
        """Variables with which the command calls this gateway."""
        return {"EXHAUST_GATEWAY": self.url, "EXHAUST_LICENSE_KEY": KEY, "EXHAUST_USERNAME": "asha"}

    def __enter__(self) -> FakeGateway:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def submit(self, found: re.Match[str], fields: dict[str, Any], tags: list[str], key: str) -> str:
        """File a request, or return the one that the Idempotency-Key stands for."""
        with self.lock:
            self.submits += 1
            if key in self.keys:
                return self.keys[key]
            first, last = date.fromisoformat(found[3]), date.fromisoformat(found[4])
            data = download(found[2], first, last, tags=tuple(tags), events=self.behaviour.events)
            failed = [day for day in self.behaviour.failing if first <= day <= last]
            error = {"code": "SOURCE_OBJECT_UNREADABLE", "message": "raw telemetry is damaged"} if failed else None
            described = {"datasetid": found[1], "resourceid": found[2], "tags": tags, **fields}
            request = Request(
                str(uuid.uuid4()), described, first, last, data, time.monotonic() + self.behaviour.seconds
            )
            request.error = error
            self.requests[request.id] = request
            if key:
                self.keys[key] = request.id
            return request.id

    def status(self, request: Request) -> dict[str, Any]:
        """Tell how a request stands, with a new link when it is complete."""
        total = (request.last - request.first).days + 1
        progress = {"daysdone": 0, "daystotal": total, "events": 0, "bytes": 0}
        if request.error:
            return {"status": "failed", "progress": progress, "error": request.error}
        if time.monotonic() < request.ready_at:
            return {"status": "inprogress", "progress": progress}
        progress["daysdone"] = total
        told: dict[str, Any] = {"status": "complete", "progress": progress, "size": len(self.stored(request))}
        if self.behaviour.sha256:
            told["sha256"] = hashlib.sha256(request.data).hexdigest()
        if request.expired:
            return {**told, "expired": True}
        link = uuid.uuid4().hex
        with self.lock:
            self.links[link] = self.behaviour.link_uses
        return {**told, "downloadurl": f"{self.url}/store/{request.id}?X-Amz-Signature={link}"}

    def stored(self, request: Request) -> bytes:
        """Return the bytes as the store has them."""
        return self.behaviour.data(request.data)

    def may_use(self, link: str) -> bool:
        """Use a link once."""
        with self.lock:
            self.links[link] = self.links.get(link, 0) - 1
            return self.links[link] >= 0


class _Handler(BaseHTTPRequestHandler):
    fake: FakeGateway
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        link = parse_qs(address.query).get("X-Amz-Signature", [""])[0]
        request = self.fake.requests.get(address.path.rpartition("/")[2])
        if request is None or not self.fake.may_use(link):
            return self._send(403, b"<Error><Code>AccessDenied</Code></Error>", {})
        self._object(self.fake.stored(request))

    def do_POST(self) -> None:
        self._operation("POST")

    def do_DELETE(self) -> None:
        self._operation("DELETE")

    def _operation(self, method: str) -> None:
        address = urlsplit(self.path)
        fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        if self.fake.behaviour.refusals:
            status, headers = self.fake.behaviour.refusals.pop(0)
            return self._fail(status, "RATE_LIMITED", "too many calls; wait", headers)
        if fields.pop("licenseKey") != KEY:
            return self._fail(401, "LOGIN_FAILED", "the license key is invalid", {})
        if found := _STATUS.fullmatch(address.path):
            return self._status(method, found[1], parse_qs(address.query))
        if found := _LIST.fullmatch(address.path):
            return self._list(unquote(found[1]))
        found = _SUBMIT.fullmatch(address.path)
        if found is None:
            return self._fail(404, "NOT_FOUND", "there is no such operation", {})
        if fields["partnerid"] != OWNER or hashlib.sha1(OWNER.encode()).hexdigest()[:32] != found[2]:
            return self._fail(403, "AUTHORIZATION_FAILED", "there is no access", {})
        tags = parse_qs(address.query).get("tags[]", [])
        request = self.fake.submit(found, fields, tags, self.headers.get("Idempotency-Key", ""))
        self._answer({"requestid": request}, status=202)

    def _status(self, method: str, request_id: str, query: dict[str, list[str]]) -> None:
        request = self.fake.requests.get(request_id)
        if request is None:
            return self._fail(404, "INVALID_REQUESTID", "there is no such request", {})
        if method == "DELETE":
            if request.error is None and time.monotonic() >= request.ready_at:
                return self._fail(409, "INVALID_DATA_ERROR", "the request has ended", {})
            request.error = {"code": "CANCELLED", "message": "the request was cancelled"}
            return self._answer({"requestid": request_id, **self.fake.status(request), "cancelledat": "now"})
        end = time.monotonic() + float(query.get("wait", ["0"])[0])
        while self.fake.status(request)["status"] == "inprogress" and time.monotonic() < end:
            time.sleep(0.01)
        self._answer(self.fake.status(request))

    def _list(self, owner: str) -> None:
        if owner != OWNER:
            return self._fail(403, "AUTHORIZATION_FAILED", "there is no access", {})
        listed = [
            {
                "requestid": request.id,
                **request.fields,
                "fromdate": str(request.first),
                "todate": str(request.last),
                "createdat": 1793610000000,
                "tracker": self.fake.status(request),
            }
            for request in reversed(self.fake.requests.values())
        ]
        self._answer({"requests": listed})

    def _answer(self, result: dict[str, Any], status: int = 200) -> None:
        params = {"status": "successful", "err": "", "errmsg": ""}
        self._send(status, json.dumps({"params": params, "result": result}).encode(), {})

    def _fail(self, status: int, code: str, message: str, headers: dict[str, str]) -> None:
        params = {"status": "failed", "err": code, "errmsg": message}
        self._send(status, json.dumps({"params": params}).encode(), headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _object(self, data: bytes) -> None:
        etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        fresh = self.headers.get("If-Range", etag) == etag or self.fake.behaviour.ignores_if_range
        start, end, status = 0, len(data), 200
        headers = {"ETag": etag, "Accept-Ranges": "bytes"}
        if asked and fresh:
            start, end, status = int(asked[1]), min(int(asked[2] or len(data)) + 1, len(data)), 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        body = data[start:end]
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        arriving = self.fake.behaviour.cut(len(body))
        try:
            self.wfile.write(body[:arriving])
        except ConnectionError:
            self.close_connection = True
            return
        with self.fake.lock:
            self.fake.served += arriving
        if arriving < len(body):
            self.wfile.flush()
            self.connection.shutdown(2)
            self.close_connection = True
