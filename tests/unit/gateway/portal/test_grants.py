"""The grants of the start page: one for each resource, by the names that are known."""

from __future__ import annotations

from datetime import date

from services.gateway.portal.grants import grants_of, plain_ids, shown_grants
from telemetry.resource_ids import resource_id

DATASET = "eks-consumption-raw"
NEWEST = date(2026, 11, 29)


def held(
    resource: str, dataset: str | None = None, ends: str | None = None, plain: str | None = None
) -> dict[str, object]:
    return {"kind": "partner", "id": plain, "resourceid": resource, "dataset": dataset, "expiresat": ends}


def test_of_two_grants_on_a_resource_the_one_counts_that_lasts_longer() -> None:
    grants = [
        held("a", None, "2026-12-01"),
        held("a", DATASET, "2027-01-01"),
        held("b"),
        held("b", DATASET, "2027-01-01"),
    ]
    assert [(grant["resourceid"], grant["expiresat"]) for grant in grants_of(grants, DATASET)] == [
        ("a", "2027-01-01"),
        ("b", None),
    ]
    assert grants_of([held("a", "another")], DATASET) == []


def test_a_plain_id_is_known_by_the_grant_or_by_a_request() -> None:
    maple, oak = resource_id("org.example.maple"), resource_id("org.example.oak")
    names = plain_ids([held(maple, plain="org.example.maple"), held(oak)], ["org.example.oak", maple])
    assert names[maple] == "org.example.maple"
    assert names[oak] == "org.example.oak"


def test_days_that_cannot_be_seen_are_shown_as_such() -> None:
    told = [{"date": "2026-11-28", "state": "ready", "events": 3}]
    seen, unseen = shown_grants([held("a"), held("b")], DATASET, NEWEST, {}, [told, None])
    assert (seen.name, seen.partner, seen.seen, seen.strip.counts["ready"]) == ("a", "", True, 1)
    assert (unseen.seen, set(unseen.strip.counts)) == (False, {"notseen"})
