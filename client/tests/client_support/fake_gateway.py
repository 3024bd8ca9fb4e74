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
from datetime import date, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Callable, Final
from urllib.parse import parse_qs, unquote, urlsplit

from client_support.downloads import download

if TYPE_CHECKING:
    from types import TracebackType
    from urllib.parse import SplitResult

KEY: Final = "0b5a2c9e-7d0f-4f4b-9d38-6a1f6a4a1c11"
OWNER: Final = "org.test"
ME: Final[dict[str, Any]] = {
    "client": "maple",
    "key": {"id": 7, "createdat": "2026-01-01T00:00:00+00:00", "expiresat": None, "proven": True},
    "grants": [{"kind": "partner", "id": OWNER, "resourceid": "r", "dataset": None, "expiresat": None}],
    "limits": {"daysarequest": 31},
    "datasets": [{"id": "eks-consumption-raw"}],
    "newestday": "2026-11-29",
}
ESTIMATE: Final[dict[str, Any]] = {"seconds": {"least": 2, "most": 9}, "bytes": {"least": 1000, "most": 5000}}
WEBHOOK: Final[dict[str, Any]] = {
    "id": "0e1d2c3b-0000-4000-8000-000000000001",
    "url": "https://hooks.example.org/telemetry",
    "events": ["request.complete"],
    "enabled": True,
}
_SUBMIT: Final = re.compile(r"/v2/datasets/([^/]+)/([^/]+)/([0-9-]+)/([0-9-]+)")
_STATUS: Final = re.compile(r"/v2/datasets/requests/status/([^/]+)")
_LIST: Final = re.compile(r"/v2/datasets/requests/([^/]+)")
_ESTIMATE: Final = re.compile(_SUBMIT.pattern + "/estimate")
_ONE: Final = re.compile(r"/v2/datasets/requests/([^/]+)(/retry|/download|)")
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
    error: dict[str, Any] | None = None
    expired: bool = False


@dataclass
class Behaviour:
    """How the fake behaves; tests change it while it runs.

    Attributes:
        seconds: that a request takes.
        link_uses: answers that a link is good for.
        cut: is asked how many of the bytes of an answer arrive.
        refusals: (status, headers) of the next calls of the API.
        partial: a failed request has a download of its other days.
        old: it has none of the operations that came later.
        clock: seconds that its clock is ahead.
        page: the status and body that a proxy in between answers to everything.
        told: fields of the status of a request in progress.
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
    old: bool = False
    partial: bool = False
    clock: float = 0.0
    page: tuple[int, bytes] | None = None
    told: dict[str, Any] = field(default_factory=dict)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: callers are killed, and go away."""


class FakeGateway:
    """The fake; `submits`, `served`, `links` and `refused_links` tell what was asked of it."""

    def __init__(self) -> None:
        self.behaviour = Behaviour()
        self.requests: dict[str, Request] = {}
        self.keys: dict[str, str] = {}
        self.links: dict[str, int] = {}
        self.submits = 0
        self.served = 0
        self.refused_links = 0
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
            left = {"partialurl": self.link(request)} if self.behaviour.partial else {}
            return {"status": "failed", "progress": progress, "error": request.error, **left}
        if time.monotonic() < request.ready_at:
            return {"status": "inprogress", "progress": progress, **self.behaviour.told}
        progress["daysdone"] = total
        told: dict[str, Any] = {"status": "complete", "progress": progress, "size": len(self.stored(request))}
        if self.behaviour.sha256:
            told["sha256"] = hashlib.sha256(request.data).hexdigest()
        if request.expired:
            return {**told, "expired": True}
        return {**told, "downloadurl": self.link(request)}

    def link(self, request: Request) -> str:
        """Sign a link to a download."""
        link = uuid.uuid4().hex
        with self.lock:
            self.links[link] = self.behaviour.link_uses
        return f"{self.url}/store/{request.id}?X-Amz-Signature={link}"

    def known(self, day: date) -> dict[str, Any]:
        """Tell what is known of a day: it is built when a request held it."""
        if any(request.first <= day <= request.last for request in self.requests.values()):
            return {"date": str(day), "state": "ready", "events": self.behaviour.events, "bytes": 1, "built": True}
        return {"date": str(day), "state": "unknown", "events": None, "bytes": None, "built": False}

    def stored(self, request: Request) -> bytes:
        """Return the bytes as the store has them."""
        return self.behaviour.data(request.data)

    def may_use(self, link: str) -> bool:
        """Use a link once."""
        with self.lock:
            self.links[link] = self.links.get(link, 0) - 1
            self.refused_links += self.links[link] < 0
            return self.links[link] >= 0


class _Handler(BaseHTTPRequestHandler):
    fake: FakeGateway
    protocol_version = "HTTP/1.1"

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string((timestamp or time.time()) + self.fake.behaviour.clock)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path.startswith(("/v2/", "/health/")):
            return self._operation("GET")
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
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fields = json.loads(body)["request"] if body else {}
        if self.fake.behaviour.refusals:
            status, headers = self.fake.behaviour.refusals.pop(0)
            return self._fail(status, "RATE_LIMITED", "too many calls; wait", headers)
        if self.fake.behaviour.page:
            return self._send(*self.fake.behaviour.page, {"Content-Type": "text/html"})
        keyed = "licenseKey" not in fields
        if fields.pop("licenseKey", self.headers.get("X-API-Key")) != KEY:
            return self._fail(401, "LOGIN_FAILED", "the license key is invalid", {})
        self._route(method, address, fields, keyed=keyed)

    def _route(self, method: str, address: SplitResult, fields: dict[str, Any], *, keyed: bool) -> None:
        query = parse_qs(address.query)
        if found := _STATUS.fullmatch(address.path):
            return self._status(method, found[1], query)
        if keyed and not self.fake.behaviour.old:
            return self._keyed(method, address.path, query)
        if found := _LIST.fullmatch(address.path):
            return self._list(unquote(found[1])) if method == "POST" else self._no_operation()
        found = _SUBMIT.fullmatch(address.path)
        if found is None or keyed:
            return self._no_operation()
        self._submit(found, fields, query.get("tags[]", []))

    def _no_operation(self) -> None:
        self._fail(404, "NOT_FOUND", "there is no such operation", {})

    def _submit(self, found: re.Match[str], fields: dict[str, Any], tags: list[str]) -> None:
        if fields["partnerid"] != OWNER or hashlib.sha1(OWNER.encode()).hexdigest()[:32] != found[2]:
            return self._fail(403, "AUTHORIZATION_FAILED", "there is no access", {})
        today = datetime.fromtimestamp(time.time() + self.fake.behaviour.clock, timezone.utc).date()
        if date.fromisoformat(found[4]) >= today:
            return self._fail(400, "INVALID_DATE", f"toDate must be before {today}", {})
        request = self.fake.submit(found, fields, tags, self.headers.get("Idempotency-Key", ""))
        self._answer({"requestid": request}, status=202)

    def _keyed(self, method: str, path: str, query: dict[str, list[str]]) -> None:
        """Answer an operation whose license key is in a header."""
        if path == "/v2/me":
            return self._answer(ME)
        if path == "/v2/days":
            first, last = (date.fromisoformat(query[name][0]) for name in ("from", "to"))
            return self._answer({"days": [self.fake.known(day) for day in _days(first, last)]})
        if path == "/v2/datasets/requests":
            return self._list(OWNER)
        if found := _ESTIMATE.fullmatch(path):
            days = [self.fake.known(day) for day in _days(*map(date.fromisoformat, found.group(3, 4)))]
            built = sum(day["built"] for day in days)
            told = {"total": len(days), "built": built, "tobuild": len(days) - built}
            return self._answer({**ESTIMATE, "days": told})
        if path.startswith("/v2/webhooks"):
            return self._webhooks(method, path)
        found = _ONE.fullmatch(path)
        request = self.fake.requests.get(found[1]) if found else None
        if found is None or request is None:
            return self._fail(404, "INVALID_REQUESTID", "there is no such request", {})
        self._request(request, found[2])

    def _request(self, request: Request, operation: str) -> None:
        told = self.fake.status(request)
        if operation == "/download":
            return self._send(307, b"", {"Location": self.fake.link(request), "Cache-Control": "no-store"})
        if operation == "/retry":
            if told["status"] != "failed":
                return self._fail(409, "INVALID_DATA_ERROR", "the request has not failed", {})
            request.error = None
            return self._answer({"requestid": request.id, "attempt": 2}, status=202)
        if told["status"] == "inprogress":
            return self._fail(409, "INVALID_DATA_ERROR", "the request is in progress; cancel it first", {})
        del self.fake.requests[request.id]
        self._answer({"requestid": request.id, "deleted": True})

    def _webhooks(self, method: str, path: str) -> None:
        """Play one webhook, which is there all the time."""
        operation = path.rpartition("/")[2]
        answer: dict[str, Any]
        if path == "/v2/webhooks":
            answer = {"webhook": WEBHOOK, "secret": "whsec_c2VjcmV0"} if method == "POST" else {"webhooks": [WEBHOOK]}
        elif operation == "deliveries":
            answer = {"deliveries": [{"id": "d1", "event": "request.complete", "state": "delivered", "attempt": 1}]}
        else:
            answers: dict[str, dict[str, Any]] = {"replay": {"replayed": 3}, "test": {"delivery": "d2"}}
            answer = answers.get(operation, {"deleted": True})
        self._answer(answer, status=201 if method == "POST" else 200)

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
