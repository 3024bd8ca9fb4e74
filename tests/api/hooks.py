"""Schemathesis makes up values. Where a call is meant to be accepted, this puts what exists in their place.

What a call is meant to be refused for stays as it was made up.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from typing import Any
from uuid import uuid4

import schemathesis
from schemathesis import AuthContext, Case, HookContext
from schemathesis.core.parameters import ParameterLocation

from tests.api.known import Known

KNOWN = Known.read()
EXAMPLE_REQUEST = "a3bb189e-8bf9-4c88-9912-ace4e6543002"
EXAMPLE_WEBHOOK = "0f8fad5b-d9cb-469f-a165-70867728950e"
EXISTING_PATH = {
    "datasetId": KNOWN.dataset,
    "resourceId": KNOWN.resource_id,
    "partnerid": KNOWN.partner_id,
    "fromDate": KNOWN.first_day,
    "toDate": KNOWN.last_day,
}
EXISTING_QUERY = {
    "dataset": KNOWN.dataset,
    "resource": KNOWN.partner_id,
    "from": KNOWN.first_day,
    "to": KNOWN.last_day,
}
EXISTING_FIELDS = {
    "licenseKey": KNOWN.license_key,
    "licensekey": KNOWN.license_key,
    "partnerid": KNOWN.partner_id,
    "resourceId": KNOWN.resource_id,
    "resourceid": KNOWN.resource_id,
    "datasetId": KNOWN.dataset,
    "datasetid": KNOWN.dataset,
    "fromdate": KNOWN.first_day,
    "todate": KNOWN.last_day,
    "ownerId": KNOWN.partner_id,
    "downloadurl": KNOWN.archive_key,
    "licenseKeyName": KNOWN.key_name,
    "expiresAt": "2099-01-01T00:00:00Z",
    "since": "2026-01-01T00:00:00Z",
    "until": "2099-01-01T00:00:00Z",
    "action": "grant",
    "url": "http://127.0.0.1:1024/",  # nobody listens there
}
MOST_TAGS = 20
PARTIAL = "finished"
# What a call removes is there once.
REMOVABLE = {
    "/v2/datasets/requests/{partnerid}": iter(KNOWN.deletable.split(",")),
    "/v2/webhooks/{webhookid}": iter(KNOWN.deletable_webhooks.split(",")),
}
NUMBERS: defaultdict[str, Iterator[int]] = defaultdict(count)


@schemathesis.auth(refresh_interval=None).apply_to(path_regex="^/data/v3/")
class Credentials:
    """A token; for GET with a channel a license key."""

    def get(self, case: Case[Any], _context: AuthContext) -> tuple[str, str]:
        if case.method == "GET" and "X-Channel-ID" in case.headers:
            return "X-API-Key", KNOWN.license_key
        return "Authorization", f"Bearer {KNOWN.token}"

    def set(self, case: Case[Any], data: tuple[str, str], _context: AuthContext) -> None:
        for name in ("X-API-Key", "Authorization"):
            case.headers.pop(name, None)
        case.headers[data[0]] = data[1]


@schemathesis.auth(refresh_interval=None).apply_to(path_regex="^/v2/webhooks")
@schemathesis.auth(refresh_interval=None).apply_to(
    method=["GET", "HEAD", "DELETE"], path_regex="^/v2/(me|days|datasets/requests)"
)
@schemathesis.auth(refresh_interval=None).apply_to(path_regex="^/v2/datasets/requests/{requestid}/retry")
@schemathesis.auth(refresh_interval=None).apply_to(method=["GET", "HEAD"], path_regex="^/v1/datasets/")
class HeaderKey:
    """The license key, where there is no body for it."""

    def get(self, _case: Case[Any], _context: AuthContext) -> str:
        return KNOWN.license_key

    def set(self, case: Case[Any], data: str, _context: AuthContext) -> None:
        case.headers["X-API-Key"] = data


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
    if _is_good(case, ParameterLocation.PATH):
        _fill_path(case)
    if _is_good(case, ParameterLocation.HEADER):
        _fill_headers(case)
    if _is_good(case, ParameterLocation.QUERY):
        case.query.pop("next", None)  # what it may be only the server knows
        if case.operation.path == "/v2/days" and case.method != "POST":
            case.query.update(EXISTING_QUERY)
        if sum(len(case.query.get(name, ())) for name in ("tags", "tags[]")) > MOST_TAGS:
            del case.query["tags"]
    if _is_good(case, ParameterLocation.BODY) and isinstance(case.body, dict):
        _fill_request(case.operation.path, case.body.get("request"))


def _is_good(case: Case[Any], location: ParameterLocation) -> bool:
    component = case.meta.components.get(location) if case.meta else None
    return component is None or component.mode.is_positive


def _fill_path(case: Case[Any]) -> None:
    if case.method == "DELETE" and case.operation.path in REMOVABLE:
        _fill_removable(case)
        return
    for name, value in EXISTING_PATH.items():
        if name in case.path_parameters:
            case.path_parameters[name] = value
    fails = case.operation.path.endswith("/retry") or case.query.get("part") == PARTIAL
    known = {"webhookid": KNOWN.webhook_id, "requestid": KNOWN.failed_id if fails else KNOWN.request_id}
    for name, value in known.items():
        if name in case.path_parameters and _is_for_known(case, name):
            case.path_parameters[name] = value


def _is_for_known(case: Case[Any], name: str) -> bool:
    """Examples, reports, and every second of the others are of what exists."""
    example = case.path_parameters[name] in {EXAMPLE_REQUEST, EXAMPLE_WEBHOOK}
    return (
        example or case.operation.path.endswith("/update/{requestid}") or next(NUMBERS[case.operation.label]) % 2 == 0
    )


def _fill_removable(case: Case[Any]) -> None:
    (name,) = case.path_parameters
    removable = next(REMOVABLE[case.operation.path], None)
    if removable is not None:
        case.path_parameters[name] = removable


def _fill_headers(case: Case[Any]) -> None:
    if case.headers.get("X-Channel-ID"):
        case.headers["X-Channel-ID"] = KNOWN.channel
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid4())  # the same one with another request is an error
    if re.fullmatch(r"bytes=\d+-\d*", case.headers.get("Range", "")):
        case.headers["Range"] = "bytes=1-20"  # the archive may be shorter than what was made up


def _fill_request(path: str, request: Any) -> None:
    if not isinstance(request, dict):
        return
    for name, value in EXISTING_FIELDS.items():
        if isinstance(request.get(name), str):
            request[name] = value
    if request.get("ownerKind"):
        request["ownerId"] = KNOWN.partner_id  # without it the kind says nothing
    if path == "/v1/client":
        request["licenseKeyName"] = str(uuid4())  # the same name twice is an error
        request["clientName"] = f"client {uuid4()}"  # which letters a name may have no pattern can say
    elif isinstance(request.get("clientName"), str):
        harmful = path in {"/v1/admin/keys/rotate", "/v1/admin/keys/revoke"}
        request["clientName"] = KNOWN.victim_name if harmful else KNOWN.client_name
