"""No message leaves for a forbidden address: not by numbers, not by a name, and not when DNS changes its answer."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Network

import pytest

from exhaust.webhooks.addresses import Network
from services.status.webhooks.sender import REFUSED, open_sender
from tests.integration.webhooks.conftest import LOOPBACK, Receiver, no_lookup
from tests.support.forbidden_addresses import FORBIDDEN

HOST = "receiver.example.org"


class ChangingNames:
    """A lookup that gives a good answer first, and then a forbidden one."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)

    async def __call__(self, host: str) -> Sequence[str]:
        assert host == HOST
        return self._answers.pop(0)


@pytest.mark.parametrize("address", FORBIDDEN)
async def test_numbers_of_a_forbidden_address_are_not_connected_to(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    async with open_sender(no_lookup, ()) as sender:
        reply = await sender.send(f"https://{host}:8443/", b"{}", {})
    assert (reply.status, reply.refused) == (None, True)


@pytest.mark.parametrize("address", FORBIDDEN)
async def test_a_name_that_changes_to_a_forbidden_address_is_not_connected_to(address: str) -> None:
    names = ChangingNames(["8.8.8.8"], [address])
    assert await names(HOST) == ["8.8.8.8"]  # when it was registered
    async with open_sender(names, ()) as sender:
        reply = await sender.send(f"https://{HOST}:8443/", b"{}", {})
    assert (reply.status, reply.reason, reply.refused) == (None, REFUSED, True)


@pytest.mark.parametrize("written", ["2130706433", "127.1", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.1."])
async def test_other_ways_to_write_an_address_lead_nowhere(written: str, receiver: Receiver) -> None:
    async def lookup(_host: str) -> Sequence[str]:
        return ["127.0.0.1"]

    async with open_sender(lookup, ()) as sender:
        reply = await sender.send(f"https://{written}:{receiver.base.rpartition(':')[2]}/", b"{}", {})
    assert reply.status is None
    assert receiver.arrived == []


@pytest.mark.parametrize("allowed", [(), (IPv4Network("10.0.0.0/8"),)])
async def test_http_leads_only_to_networks_that_are_allowed(receiver: Receiver, allowed: Sequence[Network]) -> None:
    async with open_sender(no_lookup, allowed) as sender:
        assert (await sender.send(receiver.base, b"{}", {})).refused
        assert (await sender.send("http://8.8.8.8/", b"{}", {})).refused
    assert receiver.arrived == []


async def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.statuses = [307]
    async with open_sender(no_lookup, LOOPBACK) as sender:
        assert (await sender.send(receiver.base, b"{}", {})).status == 307
    assert len(receiver.arrived) == 1


async def test_a_proxy_of_the_environment_is_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, receiver.base)
    async with open_sender(no_lookup, LOOPBACK) as sender:
        reply = await sender.send("http://127.0.0.1:1025/", b"{}", {})
    assert (reply.status, reply.reason) == (None, "no connection")
    assert receiver.arrived == []


async def test_an_answer_without_end_is_cut() -> None:
    sent = asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()
        sent.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, open_sender(no_lookup, LOOPBACK) as sender:
        port = server.sockets[0].getsockname()[1]
        assert (await sender.send(f"http://127.0.0.1:{port}/", b"{}", {})).status == 200
        await asyncio.wait_for(sent.wait(), 10)
