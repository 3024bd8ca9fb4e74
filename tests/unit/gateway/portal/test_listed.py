"""What the portal says of a request, from its status."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.portal.listed import tracked_of

PROGRESS: dict[str, Any] = {"daysdone": 1, "daystotal": 3, "events": 7, "bytes": 70}
ERROR = {"code": "SOURCE_OBJECT_UNREADABLE", "message": "an object is broken", "help": "/help#SOURCE_OBJECT_UNREADABLE"}


@pytest.mark.parametrize(
    ("status", "word", "urgency", "sentence"),
    [
        ({"status": "inprogress"}, "in progress", "attention", ""),
        (
            {"status": "inprogress", "phase": "waiting", "position": 3, "because": "you have 4 at work."},
            "waiting",
            "attention",
            "You have 4 at work; number 3 in the queue.",
        ),
        (
            {
                "status": "inprogress",
                "phase": "building",
                "eta": {"earliest": "2025-01-02T03:04:05+00:00", "latest": "2025-01-02T04:04:05+00:00"},
            },
            "building",
            "attention",
            "Ready between 2025-01-02 03:04 and 2025-01-02 04:04 UTC.",
        ),
        ({"status": "complete", "downloadurl": "https://store.example/x"}, "complete", "healthy", ""),
        ({"status": "complete", "expired": True}, "expired", "", ""),
        ({"status": "failed", "error": ERROR}, "failed", "page", "An object is broken."),
        ({"status": "failed", "error": {"code": "CANCELLED", "message": "cancelled"}}, "cancelled", "", "Cancelled."),
    ],
)
def test_a_status_in_a_word_and_a_sentence(status: dict[str, Any], word: str, urgency: str, sentence: str) -> None:
    tracked = tracked_of({"progress": PROGRESS} | status)
    assert (tracked.word, tracked.urgency, tracked.sentence) == (word, urgency, sentence)
    assert (tracked.done, tracked.days) == (1, 3)
    assert tracked.open == (status["status"] == "inprogress")


def test_what_can_be_done_depends_on_the_state() -> None:
    def can(**status: object) -> tuple[bool, bool, bool, bool]:
        tracked = tracked_of({"progress": PROGRESS, **status})
        return tracked.open, tracked.may_download, tracked.may_download_part, tracked.may_retry

    assert can(status="inprogress") == (True, False, False, False)
    assert can(status="complete", downloadurl="https://store.example/x") == (False, True, False, False)
    assert can(status="complete", expired=True) == (False, False, False, False)
    assert can(status="failed", error=ERROR) == (False, False, False, True)
    assert can(status="failed", error=ERROR, partialurl="https://store.example/y") == (False, False, True, True)
    assert can(status="failed", error={"code": "CANCELLED"}) == (False, False, False, False)
