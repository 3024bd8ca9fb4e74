"""Keys in the portal: one more is made and shown once, others are revoked, and strangers' are like unknown ones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries
from exhaust.postgres.license_keys import MOST_VALID_KEYS, KeyStore
from tests.integration.conftest import PEPPERS, envelope

if TYPE_CHECKING:
    from exhaust.postgres.database import Database
    from tests.integration.conftest import Gateway
    from tests.support.portal_visitor import Visitor

SHOWN = re.compile(r'id="new-key"><code>([0-9a-f-]{36})<')


async def made_key(visitor: Visitor) -> str:
    seen = await visitor.send("/keys")
    assert seen.status == 200
    found = SHOWN.search(seen.text)
    assert found is not None
    return found[1]


async def numbers(database: Database) -> list[int]:
    return [row["id"] for row in await database.fetch("SELECT id FROM license_keys ORDER BY id")]


async def test_a_new_key_is_shown_once_and_the_old_one_stays_valid(
    gateway: Gateway, signed_in: Visitor, database: Database
) -> None:
    made = await made_key(signed_in)
    keys = KeyStore(database, PEPPERS)
    assert await keys.authenticate(made) == await keys.authenticate(gateway.license_key) is not None
    assert made not in (await signed_in.get("/keys")).text
    [entry] = await find_audit_entries(database, AuditFilter(action=Action.ROTATE))
    assert (entry.actor, entry.detail) == (entry.subject, {"added": True})


async def test_the_old_key_is_revoked_by_whoever_signs_in_with_the_new_one(
    gateway: Gateway, signed_in: Visitor, database: Database
) -> None:
    made = await made_key(signed_in)
    old, new = await numbers(database)
    assert (await signed_in.send(f"/keys/{old}/revoke")).status == 400
    await signed_in.sign_in(made)
    assert (await signed_in.send(f"/keys/{old}/revoke")).location == "/portal/keys"
    keys = KeyStore(database, PEPPERS)
    assert await keys.authenticate(gateway.license_key) is None
    assert await keys.authenticate(made) is not None
    assert (await signed_in.send(f"/keys/{new}/revoke")).status == 400


async def test_keys_have_a_limit(signed_in: Visitor, database: Database) -> None:
    for _ in range(MOST_VALID_KEYS - 1):
        await made_key(signed_in)
    assert (await signed_in.send("/keys")).status == 409
    assert len(await numbers(database)) == MOST_VALID_KEYS


async def test_keys_of_others_are_like_unknown_ones(gateway: Gateway, signed_in: Visitor, database: Database) -> None:
    for names in (
        {"clientName": "another", "licenseKeyName": "dashboard"},
        {"clientName": "client", "licenseKeyName": "second"},
    ):
        assert (await gateway.call("/v1/client", envelope(names))).status == 200
    own, *others = await numbers(database)
    page = await signed_in.get("/keys")
    assert page.text.count('scope="row"') == 1
    answers = set()
    for number in (*others, others[-1] + 1000, "0", "x", "9" * 40, "٣"):
        seen = await signed_in.send(f"/keys/{number}/revoke")
        answers.add((seen.status, re.sub(r'value="[^"]+"', "", seen.text)))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 404
    valid = await database.fetch("SELECT id FROM valid_license_keys")
    assert {row["id"] for row in valid} == {own, *others}


async def test_a_key_that_is_being_replaced_makes_and_revokes_no_key(
    gateway: Gateway, signed_in: Visitor, database: Database
) -> None:
    """An operator rotates a key that was found by somebody else: it still works for a while."""
    keys = KeyStore(database, PEPPERS)
    new = await keys.rotate("client", "dashboard", actor="test")
    before = await numbers(database)
    assert (await signed_in.send("/keys")).status == 403
    assert (await signed_in.send(f"/keys/{before[-1]}/revoke")).status == 403
    assert "Make a new key</button>" not in (await signed_in.get("/keys")).text
    assert await numbers(database) == before
    assert await keys.authenticate(gateway.license_key) is not None
    await signed_in.sign_in(new)
    assert (await signed_in.send(f"/keys/{before[0]}/revoke")).location == "/portal/keys"


async def test_a_form_without_its_token_makes_no_key(signed_in: Visitor, database: Database) -> None:
    assert (await signed_in.post("/keys", {})).status == 403
    assert len(await numbers(database)) == 1
