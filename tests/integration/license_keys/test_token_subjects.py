"""A token's subject acts as the user it is bound to."""

import pytest

from exhaust.postgres.database import Database
from exhaust.postgres.license_keys import KeyStore, UnknownClientError
from exhaust.postgres.token_subjects import TokenSubject, TokenSubjects
from tests.integration.license_keys.conftest import NAMES, holder

ISSUER, SUBJECT = "https://issuer.example", "somebody"
TOKEN = TokenSubject(ISSUER, SUBJECT)


@pytest.fixture
def subjects(database: Database) -> TokenSubjects:
    """The bindings as the gateway reads them."""
    return TokenSubjects(database)


@pytest.fixture
def owned(owner_database: Database) -> TokenSubjects:
    """The bindings as the operators write them."""
    return TokenSubjects(owner_database)


async def test_a_token_subject_acts_as_the_user_it_is_bound_to(
    keys: KeyStore, database: Database, subjects: TokenSubjects, owned: TokenSubjects
) -> None:
    license_key = await keys.register(*NAMES)
    other = await holder(keys, await keys.register("client", "other"))
    assert await subjects.find_client(TOKEN) is None
    await owned.bind(TOKEN, *NAMES, actor="operator/somebody")
    bound = await holder(keys, license_key)
    assert bound.license_key_name == "dashboard"
    assert await subjects.find_client(TOKEN) == bound
    await keys.rotate(*NAMES, actor="operator/somebody")
    assert await subjects.find_client(TOKEN) == bound
    for issuer, subject in ((ISSUER, "another"), ("https://another", SUBJECT), (SUBJECT, ISSUER), (ISSUER, "")):
        assert await subjects.find_client(TokenSubject(issuer, subject)) is None
    await owned.bind(TOKEN, "client", "other", actor="operator/somebody")
    assert await subjects.find_client(TOKEN) == other
    assert await owned.unbind(TOKEN, actor="operator/somebody")
    assert not await owned.unbind(TOKEN, actor="operator/somebody")
    assert await subjects.find_client(TOKEN) is None
    acts = await database.fetch("SELECT action, detail FROM audit WHERE action LIKE '%bind' ORDER BY id")
    assert [row["action"] for row in acts] == ["bind", "bind", "unbind"]
    assert acts[0]["detail"] == {"issuer": ISSUER, "subject": SUBJECT}


@pytest.mark.parametrize("odd", ["\x00", "a\x00b", "\ud800", "x\udfff", "é" * 10_000], ids=ascii)
async def test_a_subject_that_no_table_can_hold_is_bound_to_nobody(subjects: TokenSubjects, odd: str) -> None:
    assert await subjects.find_client(TokenSubject(ISSUER, odd)) is None
    assert await subjects.find_client(TokenSubject(odd, SUBJECT)) is None


async def test_a_subject_without_a_valid_key_of_its_user_is_bound_to_nobody(
    keys: KeyStore, subjects: TokenSubjects, owned: TokenSubjects
) -> None:
    await keys.register(*NAMES)
    await owned.bind(TOKEN, *NAMES, actor="operator/somebody")
    await keys.rotate(*NAMES, actor="operator/somebody")
    first, _second = await keys.find_by_client("client")
    await keys.revoke("client", "dashboard", actor="operator/somebody", number=first.number)
    found = await subjects.find_client(TOKEN)
    assert found is not None
    assert found.client_name == "client"
    await keys.revoke(*NAMES, actor="operator/somebody")
    assert await subjects.find_client(TOKEN) is None
    with pytest.raises(UnknownClientError):
        await owned.bind(TOKEN, *NAMES, actor="operator/somebody")
