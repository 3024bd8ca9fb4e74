"""A token's subject acts as the user it is bound to."""

import pytest

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.database import Database
from exhaust.postgres.license_keys import KeyStore, UnknownClientError
from exhaust.postgres.token_subjects import TokenSubject, TokenSubjects
from tests.integration.license_keys.conftest import NAMES

WRONG_TOKEN = (ErrorCode.LOGIN_FAILED, "the token is not accepted; get a new one from your issuer")
ISSUER, SUBJECT = "https://issuer.example", "somebody"


async def refused_subject(keys: KeyStore, issuer: str, subject: str) -> tuple[ErrorCode, str]:
    with pytest.raises(ExhaustError) as refused:
        await keys.by_subject(issuer, subject)
    return refused.value.code, refused.value.message


async def test_a_token_subject_acts_as_the_user_it_is_bound_to(
    keys: KeyStore, database: Database, owner_database: Database
) -> None:
    license_key = await keys.register(*NAMES)
    other = await keys.authenticate(await keys.register("client", "other"))
    subjects, token = TokenSubjects(owner_database), TokenSubject(ISSUER, SUBJECT)
    assert await refused_subject(keys, ISSUER, SUBJECT) == WRONG_TOKEN
    await subjects.bind(token, *NAMES, actor="operator/somebody")
    assert await keys.by_subject(ISSUER, SUBJECT) == await keys.authenticate(license_key)
    await keys.rotate(*NAMES, actor="operator/somebody")
    assert (await keys.by_subject(ISSUER, SUBJECT)).license_key_name == "dashboard"
    for issuer, subject in ((ISSUER, "another"), ("https://another", SUBJECT), (SUBJECT, ISSUER), (ISSUER, "")):
        assert await refused_subject(keys, issuer, subject) == WRONG_TOKEN
    await subjects.bind(token, "client", "other", actor="operator/somebody")
    assert await keys.by_subject(ISSUER, SUBJECT) == other
    assert await subjects.unbind(token, actor="operator/somebody")
    assert not await subjects.unbind(token, actor="operator/somebody")
    assert await refused_subject(keys, ISSUER, SUBJECT) == WRONG_TOKEN
    acts = await database.fetch("SELECT action, detail FROM audit WHERE action LIKE '%bind' ORDER BY id")
    assert [row["action"] for row in acts] == ["bind", "bind", "unbind"]
    assert acts[0]["detail"] == {"issuer": ISSUER, "subject": SUBJECT}


@pytest.mark.parametrize("odd", ["\x00", "a\x00b", "\ud800", "x\udfff", "é" * 10_000], ids=ascii)
async def test_a_subject_that_no_table_can_hold_is_a_wrong_one(keys: KeyStore, odd: str) -> None:
    assert await refused_subject(keys, ISSUER, odd) == WRONG_TOKEN
    assert await refused_subject(keys, odd, SUBJECT) == WRONG_TOKEN


async def test_a_subject_falls_with_the_last_key_of_its_user(keys: KeyStore, owner_database: Database) -> None:
    await keys.register(*NAMES)
    subjects, token = TokenSubjects(owner_database), TokenSubject(ISSUER, SUBJECT)
    await subjects.bind(token, *NAMES, actor="operator/somebody")
    await keys.rotate(*NAMES, actor="operator/somebody")
    first, _second = await keys.of_client("client")
    await keys.revoke("client", "dashboard", actor="operator/somebody", number=first.number)
    assert (await keys.by_subject(ISSUER, SUBJECT)).client_name == "client"
    await keys.revoke(*NAMES, actor="operator/somebody")
    assert await refused_subject(keys, ISSUER, SUBJECT) == WRONG_TOKEN
    with pytest.raises(UnknownClientError):
        await subjects.bind(token, *NAMES, actor="operator/somebody")
