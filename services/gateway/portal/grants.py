"""The grants of the start page: whose data they are, for whom it is asked, and a strip of their days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.gateway.portal.strips import Strip, range_of, strip_of
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date


@dataclass(frozen=True, slots=True)
class GrantShown:
    """A grant with its strip.

    Attributes:
        id: of its place on the page.
        name: the plain id where it is known, else the id of the resource.
        partner: for whom requests are; empty where the visitor has to name one.
        seen: False when the states of its days could not be seen.
    """

    id: str
    kind: str
    name: str
    resource: str
    dataset: str
    partner: str
    ends: str | None
    strip: Strip
    seen: bool


def grants_of(held: Iterable[Mapping[str, Any]], dataset: str) -> list[Mapping[str, Any]]:
    """Return the grants for a dataset, one for each resource: the one that lasts longest."""
    last: dict[str, Mapping[str, Any]] = {}
    for grant in held:
        resource = str(grant["resourceid"])
        if grant["dataset"] in {None, dataset} and (resource not in last or _ends(grant) > _ends(last[resource])):
            last[resource] = grant
    return list(last.values())


def plain_ids(held: Iterable[Mapping[str, Any]], asked_for: Iterable[str]) -> dict[str, str]:
    """Return the plain ids that are known, by their resources.

    Args:
        held: the grants, of which some name a plain id.
        asked_for: the partners of requests.
    """
    named = {str(grant["resourceid"]): str(grant["id"]) for grant in held if grant["id"]}
    return {resource_id(partner): partner for partner in asked_for} | named


def shown_grants(
    grants: Sequence[Mapping[str, Any]],
    dataset: str,
    newest: date,
    names: Mapping[str, str],
    days: Sequence[Sequence[Mapping[str, Any]] | None],
) -> list[GrantShown]:
    """Build what a page shows of grants.

    Args:
        grants: of the page.
        dataset: that is looked at.
        newest: the newest day that is closed.
        names: the plain ids that are known, by their resources.
        days: what is known of the days of each; None where that could not be seen.
    """
    return [
        GrantShown(
            id=f"grant-{place}",
            kind=str(grant["kind"]),
            name=names.get(resource, resource),
            resource=resource,
            dataset=dataset,
            partner=names.get(resource, ""),
            ends=grant["expiresat"],
            strip=strip_of(*range_of(newest), of_grant or ()),
            seen=of_grant is not None,
        )
        for place, (grant, of_grant) in enumerate(zip(grants, days, strict=True))
        for resource in (str(grant["resourceid"]),)
    ]


def _ends(grant: Mapping[str, Any]) -> tuple[bool, str]:
    return grant["expiresat"] is None, grant["expiresat"] or ""
