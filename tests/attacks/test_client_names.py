"""Whose name it is: look-alikes, and a second key under a name that is somebody else's."""

from __future__ import annotations

import asyncio
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest

from tests.attacks.callers import KEY_NAME, Caller, Reply, ask, new_owner, resource_of
from tests.attacks.commands import operate

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from deploy.local.stack import Stack
    from tests.attacks.callers import Callers
    from tests.attacks.commands import Ran

REFUSED: Final = (400, "INVALID_DATA_ERROR")
# What is registered is `maple` and some digits, so that every run has its own.
LOOK_ALIKES: Final[dict[str, Callable[[str], str]]] = {
    "capital": str.capitalize,
    "upper-case": str.upper,
    "blank-behind": lambda name: f"{name} ",
    "blank-before": lambda name: f" {name}",
    "no-break-space-behind": lambda name: f"{name}\u00a0",
    "ideographic-space-behind": lambda name: f"{name}\u3000",
    "tab-behind": lambda name: f"{name}\t",
    "line-feed-behind": lambda name: f"{name}\n",
    "cyrillic-a": lambda name: name.replace("a", "\u0430"),
    "cyrillic-e": lambda name: name.replace("e", "\u0435"),
    "cyrillic-p": lambda name: name.replace("p", "\u0440"),
    "greek-alpha": lambda name: name.replace("a", "\u03b1"),
    "digit-for-l": lambda name: name.replace("l", "1", 1),
    "capital-i-for-l": lambda name: name.replace("l", "I", 1),
    "zero-width-space": lambda name: f"{name[:2]}\u200b{name[2:]}",
    "zero-width-joiner": lambda name: f"{name[:2]}\u200d{name[2:]}",
    "byte-order-mark": lambda name: f"\ufeff{name}",
    "soft-hyphen": lambda name: f"{name[:2]}\u00ad{name[2:]}",
    "right-to-left": lambda name: f"\u202e{name}",
    "variation-selector": lambda name: f"{name}\ufe0f",
    "tag-characters": lambda name: f"{name}\U000e0041",
    "full-width": lambda name: "".join(chr(ord(letter) + 0xFEE0) for letter in name),
    "mathematical": lambda name: name.replace("a", "\U0001d41a"),
    "circled": lambda name: name.replace("e", "\u24d4"),
    "null": lambda name: f"{name}\0",
    "bell": lambda name: f"{name}\a",
    "escape": lambda name: f"{name}\x1b[0m",
    "c1-control": lambda name: f"{name}\u0085",
    "delete": lambda name: f"{name}\x7f",
}
# Nobody has these yet, and nobody may.
NEVER: Final[dict[str, Callable[[str], str]]] = {
    "control": lambda name: f"new{name}\x01",
    "zero-width-space": lambda name: f"new\u200b{name}",
    "right-to-left": lambda name: f"new\u202e{name}",
    "full-width": lambda name: f"\uff4e\uff45\uff57{name}",
    "ligature": lambda name: f"\ufb01x{name}",
    "decomposed": lambda name: unicodedata.normalize("NFD", f"\u00e9{name}"),
    "blank-alone": lambda _: "\u2003",
    "line-separator": lambda name: f"new\u2028{name}",
}


async def register(
    http: aiohttp.ClientSession,
    stack: Stack,
    name: str,
    key_name: str,
    headers: dict[str, str] | None = None,
    **body: str,
) -> Reply:
    named = {"clientName": name, "licenseKeyName": key_name} | body
    return await ask(http, f"{stack.gateway}/v1/client", named, headers=headers)


@pytest.fixture(scope="module")
async def maple(callers: Callers, stack: Stack) -> str:
    """The name of a client that is registered."""
    name = f"maple{uuid4().hex[:8].translate(str.maketrans('abcdef', '234567'))}"
    assert (await register(await callers.session(), stack, name, KEY_NAME)).status == 200
    return name


@pytest.mark.parametrize("kind", LOOK_ALIKES)
async def test_a_name_that_looks_like_anothers_is_refused(
    maple: str, callers: Callers, stack: Stack, kind: str
) -> None:
    reply = await register(await callers.session(), stack, LOOK_ALIKES[kind](maple), "second")
    assert reply.told == REFUSED


@pytest.mark.parametrize("kind", NEVER)
async def test_a_name_that_cannot_be_told_apart_by_eye_is_refused(
    maple: str, callers: Callers, stack: Stack, kind: str
) -> None:
    reply = await register(await callers.session(), stack, NEVER[kind](maple), KEY_NAME)
    assert reply.status == 400
    assert reply.told == REFUSED


@pytest.mark.parametrize("name", ["Zürich", "école", "организация", "学校", "org.example.partner", "A & B (2)"])
async def test_an_ordinary_name_of_any_language_is_taken(callers: Callers, stack: Stack, name: str) -> None:
    reply = await register(await callers.session(), stack, f"{name} {uuid4().hex[:8]}", KEY_NAME)
    assert reply.status == 200


@dataclass(frozen=True, slots=True)
class Second:
    """Keys that were registered under one client's name, each by somebody else or otherwise, and grants on them.

    Attributes:
        granted: by key name, how the operator's command ended.
        forced: the same command with `--unproven`.
        listed: the operator's list of the client's keys.
    """

    client: Caller
    granted: dict[str, Ran]
    forced: Ran
    listed: Ran


@pytest.fixture(scope="module")
async def second(callers: Callers, stack: Stack) -> Second:
    client, rival, owner = await callers.new(), await callers.new(), new_owner()
    by_header = {"X-API-Key": client.license_key}
    replies = [
        await register(rival.http, stack, client.name, "strangers"),
        await register(rival.http, stack, client.name, "rivals", {"X-API-Key": rival.license_key}),
        await register(client.http, stack, client.name, "by-header", by_header),
        await register(client.http, stack, client.name, "by-body", licenseKey=client.license_key),
    ]
    assert [reply.status for reply in replies] == [200] * 4, replies

    async def grant(key_name: str, *more: str) -> Ran:
        names = ("--client", client.name, "--key-name", key_name)
        return await operate(stack, "grant", *names, "--channel", owner, *more)

    kinds = ("strangers", "rivals", "by-header", "by-body")
    granted = dict(zip(kinds, await asyncio.gather(*map(grant, kinds)), strict=True))
    listed = await operate(stack, "keys", "list", "--client", client.name)
    return Second(client, granted, await grant("strangers", "--unproven"), listed)


@pytest.mark.parametrize("key_name", ["strangers", "rivals"])
def test_an_unproven_key_is_granted_nothing_by_mistake(second: Second, key_name: str) -> None:
    ran = second.granted[key_name]
    assert ran.code == 2, ran.text
    assert "unproven" in ran.errors
    assert second.client.name in ran.errors


@pytest.mark.parametrize("key_name", ["by-header", "by-body"])
def test_a_key_registered_with_a_valid_key_of_the_client_is_proven(second: Second, key_name: str) -> None:
    assert second.granted[key_name].code == 0, second.granted[key_name].text


def test_an_operator_can_grant_to_an_unproven_key_knowingly(second: Second) -> None:
    assert second.forced.code == 0, second.forced.text


def test_the_list_of_keys_says_which_are_unproven(second: Second) -> None:
    assert second.listed.code == 0, second.listed.text
    rows = {name: row for row in second.listed.output.splitlines() for name in _KINDS if name in row}
    assert {name: "unproven" in row for name, row in rows.items()} == _KINDS


_KINDS: Final = {"strangers": True, "rivals": True, "by-header": False, "by-body": False}


async def test_the_internal_operations_tell_and_heed_what_is_unproven(second: Second, stack: Stack) -> None:
    token = {"Authorization": f"Bearer {stack.service_token}"}

    async def admin(operation: str, **request: Any) -> Reply:
        url = f"{stack.gateway_internal}/v1/admin/{operation}"
        return await ask(second.client.http, url, {"clientName": second.client.name, **request}, headers=token)

    keys = (await admin("keys/list")).result["keys"]
    proven = {key["licenseKeyName"]: key.get("proven") for key in keys if key["licenseKeyName"] != "strangers"}
    assert proven == {KEY_NAME: True, "by-header": True, "by-body": True, "rivals": False}
    grant = {"licenseKeyName": "rivals", "resourceId": resource_of(new_owner())}
    assert (await admin("grants/add", **grant)).status in {400, 403, 409}
    assert (await admin("grants/add", **grant, unproven=True)).status == 200


async def test_a_second_key_reads_nothing_of_the_first(second: Second, callers: Callers, stack: Stack) -> None:
    owner = new_owner()
    await second.client.may_read(owner)
    stranger = await callers.session()
    reply = await register(stranger, stack, second.client.name, f"later-{uuid4().hex[:6]}")
    thief = Caller(stranger, stack, second.client.name, reply.result["licenseKey"])
    submit = await thief.submit("D001/{}/2025-01-01/2025-01-01", owner)
    assert submit.told == (403, "AUTHORIZATION_FAILED")
