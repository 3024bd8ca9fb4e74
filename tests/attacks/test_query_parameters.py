"""Query parameters: indexes are tags, and what is not understood must not widen what leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import pytest

from tests.attacks.callers import ask, new_owner, resource_of
from tests.attacks.downloads import opened
from tests.attacks.lines import line, packed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.attacks.callers import Caller, Callers, Reply
    from tests.attacks.rows import Rows
    from tests.attacks.store import RawData

DAY: Final = "2025-03-10"
PATH: Final = f"eks-consumption-raw/{{}}/{DAY}/{DAY}"
TAGS: Final = ("x", "y", "z")
FILTERS: Final[Mapping[str, set[str]]] = {
    "?tags[0]=x&tags[1]=y": {"x", "y"},
    "?tags%5B0%5D=x&tags%5B1%5D=y": {"x", "y"},
    "?tags[1]=y": {"y"},
    "?tags[19]=z": {"z"},
    "?tags[]=x&tags[]=z": {"x", "z"},
    "?tags=x&tags=y": {"x", "y"},
    "?tags=x&tags[]=y&tags[7]=z": {"x", "y", "z"},
    "": {"none", "x", "y", "z"},
}
# By name of the parameter that is not understood.
UNKNOWN: Final[Mapping[str, str]] = {
    "tag": "tag=x",
    "Tags[]": "Tags[]=x",
    "tags[x]": "tags[x]=y",
    "tags[0][a]": "tags[0][a]=y",
    "tags[-1]": "tags[-1]=y",
    "tags[": "tags[=x",
    "filter": "filter=channel",
    "licenseKey": f"licenseKey={uuid4()}",
    "$where": "%24where=1",
    "callback": "callback=f",
    "x": "x",
}


@dataclass(frozen=True, slots=True)
class Place:
    caller: Caller
    owner: str


@pytest.fixture(scope="module")
async def place(callers: Callers, raw: RawData) -> Place:
    owner = new_owner()
    lines = [line(owner, "none"), *(line(owner, tag, tags=[tag]) for tag in TAGS)]
    await raw.put(f"raw/{DAY}-1741564800000.json.gz", packed(*lines))
    return Place(await callers.new(owner), owner)


@pytest.mark.parametrize("query", FILTERS, ids=lambda query: query or "none")
async def test_tags_filter_however_a_client_writes_their_places(place: Place, query: str) -> None:
    request_id = await place.caller.accepted(PATH, place.owner, query=query)
    found = opened(await place.caller.archive_of(request_id))
    assert set(found.mids) == FILTERS[query]
    assert set(found.manifest["request"]["tags"]) == FILTERS[query] - {"none"} - ({*TAGS} if not query else set())


@pytest.mark.parametrize("name", UNKNOWN)
async def test_an_unknown_parameter_is_refused_by_name_on_every_operation(place: Place, rows: Rows, name: str) -> None:
    replies = await every_operation(place, UNKNOWN[name])
    wrong = {what: reply.told for what, reply in replies.items() if reply.told != (400, "INVALID_DATA_ERROR")}
    assert wrong == {}
    silent = [what for what, reply in replies.items() if name not in reply.json["params"]["errmsg"]]
    assert silent == []
    assert await rows.requests_of(f"new-{place.caller.name}") == 0


async def test_tags_are_no_parameter_of_downloads_that_cannot_filter(place: Place) -> None:
    for query in ("tags[]=x", "tags=x", "tags[0]=x"):
        replies = await every_operation(place, query)
        downloads = {what: reply for what, reply in replies.items() if what.startswith(("v1", "v3"))}
        assert {what: reply.told for what, reply in downloads.items()} == dict.fromkeys(
            downloads, (400, "INVALID_DATA_ERROR")
        )


async def every_operation(place: Place, query: str) -> dict[str, Reply]:
    """Call every operation of the public listener with a query; each would succeed or end soon without it."""
    caller, stack = place.caller, place.caller.stack
    path, header = PATH.format(resource_of(place.owner)), {"X-API-Key": caller.license_key}
    channel = header | {"X-Channel-ID": place.owner}
    named = {"clientName": f"new-{caller.name}", "licenseKeyName": str(uuid4())}
    submit = caller.key | {"partnerid": place.owner, "username": "somebody"}
    requests = f"{stack.gateway}/v2/datasets/requests"
    calls: dict[str, tuple[str, str, Mapping[str, object] | None, Mapping[str, str]]] = {
        "register": ("POST", f"{stack.gateway}/v1/client", named, {}),
        "submit": ("POST", f"{stack.gateway}/v2/datasets/{path}", submit, {}),
        "status": ("POST", f"{requests}/status/{uuid4()}", caller.key, {}),
        "list": ("POST", f"{requests}/{place.owner}", caller.key, {}),
        "v1-post": ("POST", f"{stack.gateway}/v1/datasets/{path}", caller.key, {}),
        "v1-get": ("GET", f"{stack.gateway}/v1/datasets/{path}", None, header),
        "v3-post": ("POST", f"{stack.gateway}/data/v3/datasets/{path}", {}, channel),
        "v3-get": ("GET", f"{stack.gateway}/data/v3/datasets/{path}", None, channel),
    }
    if query.startswith("tags"):
        calls = {what: call for what, call in calls.items() if what.startswith("v")}
    return {
        what: await ask(caller.http, f"{url}?{query}", body, headers=headers, method=method)
        for what, (method, url, body, headers) in calls.items()
    }
