"""`exhaust-events example`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from exhaust_contract.builders import event_id
from exhaust_contract.documents import example, refusal_example
from exhaust_contract.output import show_json

if TYPE_CHECKING:
    from argparse import Namespace


def run(asked: Namespace) -> int:
    """Print an example, of another request and source where they are given."""
    shown = refusal_example(asked.kind) if asked.kind.isupper() else example(asked.kind, asked.variant)
    if asked.request or asked.attempt or asked.source:
        shown = made_over(shown, asked.request, asked.attempt, asked.source)
    show_json(shown, indent=2)
    return 0


def made_over(shown: dict[str, Any], request: str | None, attempt: int | None, source: str | None) -> dict[str, Any]:
    """Return an example of another request, attempt or source, with the ce_id that the builders would give it."""
    value = shown.get("value", {})
    if "requestid" in value:
        before = value["requestid"], f"/attempt-{value['attempt']}/"
        after = (request or value["requestid"]).lower(), f"/attempt-{attempt or value['attempt']}/"
        text = json.dumps(shown)
        for old, new in zip(before, after, strict=True):
            text = text.replace(old, json.dumps(new)[1:-1])
        shown = json.loads(text)
        value = shown["value"]
        value["attempt"] = attempt or value["attempt"]
    headers = shown["headers"]
    headers["ce_source"] = source or headers["ce_source"]
    if "status" in value:
        day = value.get("day", {}).get("day") or value.get("error", {}).get("day") or ""
        headers["ce_id"] = event_id(headers["ce_source"], value["requestid"], value["attempt"], value["status"], day)
    return shown
