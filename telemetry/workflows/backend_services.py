"""The workflow of a backend service: ready, requests with what they log, metrics, stopped."""

from collections.abc import Iterator
from typing import Final

from telemetry.workflows.edata import access, audit
from telemetry.workflows.session import Event, Producer, Session

_SERVICES: Final = tuple(
    Producer("prod.example.platform", pid, "5.0.0", env, is_system=True)
    for pid, env in (("learner-service", "learner"), ("content-service", "content"), ("search-service", "search"))
)
_CALLS: Final = (
    ("GET", "/content/v1/read"),
    ("POST", "/content/v1/search"),
    ("GET", "/course/v1/hierarchy"),
    ("PATCH", "/user/v1/update"),
)
_STATUSES: Final = (200, 200, 200, 200, 200, 200, 404, 500)
_SERVER_ERROR: Final = 500


def backend_services(session: Session) -> Iterator[Event]:
    """Yield the events of one service from its start to its stop, in the order in which they happen."""
    service = session.pick(_SERVICES)
    about = {"id": service.pid, "type": "Service", "ver": service.version}
    ready = audit(("status",), state="Ready", previous="")
    yield session.event(service, "AUDIT", ready, about=about)
    for _ in range(session.number(1, 3)):
        calls = session.number(2, 6)
        for _ in range(calls):
            yield from _answer(session, service)
        metrics = [{"metric": "requests", "value": calls}, {"metric": "jobs", "value": session.number(0, 50)}]
        report = {"system": service.id, "subsystem": service.pid, "metrics": metrics}
        yield session.event(service, "METRICS", report, about=about)
    stopped = audit(("status",), state="Stopped", previous="Ready")
    yield session.event(service, "AUDIT", stopped, about=about)


def _answer(session: Session, service: Producer) -> Iterator[Event]:
    """Yield the events of one answered request; log events carry the id of the request."""
    request = [{"type": "Request", "id": session.new_id()}]
    method, path = session.pick(_CALLS)
    status, milliseconds, size = session.pick(_STATUSES), session.number(2, 1500), session.number(100, 60_000)
    answered = access(method, path, status=status, milliseconds=milliseconds, size=size)
    yield session.event(service, "ACCESS", answered, cdata=request)
    level = "ERROR" if status == _SERVER_ERROR else "INFO"
    for step in range(session.number(0, 2)):
        log = {"type": "api_call", "level": level, "message": f"{path} step {step + 1}", "params": [{"method": method}]}
        yield session.event(service, "LOG", log, cdata=request)
