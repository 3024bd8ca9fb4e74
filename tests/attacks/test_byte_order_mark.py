"""A byte order mark before a body, which some clients write: every operation ignores it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import uuid4

from yarl import URL

from tests.attacks.callers import KEY_NAME, Reply, new_owner, resource_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.attacks.callers import Callers

DAY = "2025-04-07"
BOM = b"\xef\xbb\xbf"


async def test_a_byte_order_mark_before_a_body_is_accepted(callers: Callers) -> None:
    owner = new_owner()
    caller = await callers.new(owner)
    path = f"D001/{resource_of(owner)}/{DAY}/{DAY}"
    named = {"clientName": f"marked-{uuid4().hex[:8]}", "licenseKeyName": KEY_NAME}
    bodies: dict[str, Mapping[str, object]] = {
        "/v1/client": named,
        f"/v2/datasets/{path}": caller.key | {"partnerid": owner, "username": "somebody"},
        f"/v2/datasets/requests/{owner}": caller.key,
        f"/v1/datasets/{path}": caller.key,
    }
    replies = {}
    for place, request in bodies.items():
        url = URL(f"{caller.stack.gateway}{place}", encoded=True)
        data, headers = BOM + json.dumps({"request": request}).encode(), {"Content-Type": "application/json"}
        async with caller.http.post(url, data=data, headers=headers) as answer:
            replies[place] = Reply(answer.status, answer.headers, await answer.read()).told
    assert {told for told in replies.values() if told not in {(200, ""), (202, "")}} == set(), replies
