"""The refusals of callers without a grant, with what may help: hashes and names that are no secret.

What a caller wrote is never repeated, since it may be a license key in the wrong place.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from exhaust.errors import ErrorCode, ExhaustError
from schemas.operations import REQUEST_ID, STATUS_PATH
from telemetry.resource_ids import is_resource_hash, resource_id

if TYPE_CHECKING:
    from exhaust.domain.catalogue import Catalogue

MOST_NAMES: Final = 3
LONGEST_NAME: Final = 128  # of a dataset that is compared with others


def no_access(catalogue: Catalogue, dataset_name: str, resource: str) -> ExhaustError:
    """Return the error for no grant on a resource in a dataset; it tells nothing of resources and grants.

    Args:
        catalogue: the datasets, whose names are public.
        dataset_name: as the caller wrote it.
        resource: as the caller wrote it, in canonical form. Its hash is told where it is none.
    """
    said = ["this license key has no access to this dataset or resource; check both ids, or ask for a grant"]
    if catalogue.find(dataset_name) is None:
        said.append(_no_dataset(catalogue, dataset_name))
    if not is_resource_hash(resource):
        said.append(f"did you mean {resource_id(resource)}, the resource id of what was given?")
    return ExhaustError(ErrorCode.AUTHORIZATION_FAILED, "; ".join(said))


def not_for_partner(partner_id: str) -> ExhaustError:
    """Return the error for a caller who may not act for a partner."""
    said = "this license key may not act for this partnerid; ask for a grant on it"
    if is_resource_hash(partner_id):
        said += "; partnerid is a plain id such as org.example.partner, and no resource id"
    if re.fullmatch(REQUEST_ID, partner_id, re.ASCII):
        said += f"; if it is the id of a request, its status is at {STATUS_PATH}"
    return ExhaustError(ErrorCode.AUTHORIZATION_FAILED, said)


def _no_dataset(catalogue: Catalogue, name: str) -> str:
    known = sorted(catalogue.by_name)
    folded = {one.casefold(): one for one in known}
    near = get_close_matches(name[:LONGEST_NAME].casefold(), folded, MOST_NAMES)
    if near:
        return f"there is no such dataset; did you mean {' or '.join(folded[one] for one in near)}?"
    return "there is no such dataset; GET /v2/me lists them"
