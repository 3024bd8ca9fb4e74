"""Webhooks lead to the public internet alone: by the address, however it is written or found."""

import socket
from ipaddress import IPv4Network

import pytest

from exhaust.errors import ExhaustError
from exhaust.webhooks.addresses import may_be_called
from exhaust.webhooks.resolver import CheckedResolver, ForbiddenAddressError
from exhaust.webhooks.urls import parse_webhook_url
from tests.support.forbidden_addresses import FORBIDDEN, PUBLIC

LOCAL = (IPv4Network("127.0.0.0/8"),)


@pytest.mark.parametrize("address", FORBIDDEN)
def test_a_forbidden_address_must_not_be_called(address: str) -> None:
    assert not may_be_called(address, ())


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_called(address: str) -> None:
    assert may_be_called(address, ())


def test_an_allowed_network_may_be_called_and_nothing_else_with_it() -> None:
    assert may_be_called("127.0.0.1", LOCAL)
    assert not may_be_called("::1", LOCAL)
    assert not may_be_called("::ffff:127.0.0.1", LOCAL)
    assert not may_be_called("10.0.0.1", LOCAL)
    assert not may_be_called(PUBLIC[0], LOCAL, public=False)


@pytest.mark.parametrize("text", ["localhost", "", "127.1", "2130706433", "0x7f.0.0.1", "8.8.8.8 ", "fe80::1%eth0"])
def test_what_is_no_address_must_not_be_called(text: str) -> None:
    assert not may_be_called(text, ())


async def test_a_name_with_one_forbidden_address_is_not_called_at_all() -> None:
    async def lookup(_host: str) -> list[str]:
        return [PUBLIC[0], "10.0.0.1"]

    with pytest.raises(ForbiddenAddressError):
        await CheckedResolver(lookup, ()).resolve("receiver.example.org", 443)


async def test_a_name_with_public_addresses_is_called_at_these() -> None:
    async def lookup(_host: str) -> list[str]:
        return ["8.8.8.8", "2606:4700:4700::1111"]

    found = await CheckedResolver(lookup, ()).resolve("receiver.example.org", 443)
    assert [(result["host"], result["family"]) for result in found] == [
        ("8.8.8.8", socket.AF_INET),
        ("2606:4700:4700::1111", socket.AF_INET6),
    ]


@pytest.mark.parametrize(
    "url",
    [
        "http://receiver.example.org/",
        "ftp://receiver.example.org/",
        "//receiver.example.org/",
        "receiver.example.org",
        "https:///path",
        "https://user@receiver.example.org/",
        "https://user:password@receiver.example.org/",
        "https://@receiver.example.org/",
        "https://receiver.example.org/#part",
        "https://receiver.example.org:25/",
        "https://receiver.example.org:80/",
        "https://receiver.example.org:0/",
        "https://receiver.example.org:65536/",
        "https://receiver.example.org:port/",
        "https://receiver.example.org/a b",
        "https://receiver.example.org\\@10.0.0.1/",
        "https://receiver.example.org/\n",
        "https://récepteur.example.org/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        f"https://receiver.example.org/{'a' * 2048}",
    ],
)
def test_a_url_that_is_not_allowed_is_refused(url: str) -> None:
    with pytest.raises(ExhaustError, match="request/url"):
        parse_webhook_url(url, allow_http=False)


@pytest.mark.parametrize(
    "url",
    [
        "https://receiver.example.org/hooks?a=1",
        "https://receiver.example.org:8443",
        "https://receiver.example.org:443/",
    ],
)
def test_a_url_of_a_receiver_is_taken(url: str) -> None:
    assert parse_webhook_url(url, allow_http=False).raw_host == "receiver.example.org"


def test_http_is_taken_where_networks_are_allowed() -> None:
    assert parse_webhook_url("http://127.0.0.1:8080/", allow_http=True).port == 8080
