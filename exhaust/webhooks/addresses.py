"""The addresses that webhooks may lead to: those of the public internet, and what operators allow.

Pure. An address is judged as it is connected to, so that no way of writing a host and no answer of DNS leads elsewhere.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

# Python's own lists differ between its versions, so that ours says all that matters.
_FORBIDDEN_V4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",
            "100.64.0.0/10",  # behind a carrier's NAT
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local, also the metadata of clouds
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",  # documentation, as the next two of this kind
            "192.31.196.0/24",
            "192.52.193.0/24",
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",
            "192.175.48.0/24",
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
# Of IPv6 only this is given to anybody. Addresses that hold one of IPv4 (mapped, compatible, NAT64) lie outside of it,
# but for the first three of the exceptions.
_GLOBAL_V6: Final = IPv6Network("2000::/3")
_FORBIDDEN_V6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # Teredo, ORCHID, benchmarks and other protocols
            "2002::/16",  # 6to4
            "2001:db8::/32",  # documentation
            "2620:4f:8000::/48",
            "3fff::/20",  # documentation
        ),
    )
)


def may_be_called(text: str, allowed: Collection[Network], *, public: bool = True) -> bool:
    """Return True when webhooks may lead to an address.

    Args:
        text: the address as numbers; a name, or one with the name of an interface, may not be called.
        allowed: networks that operators allow.
        public: allow the public internet too.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return False
    return is_within(address, allowed) or (public and _is_public(address))


def is_within(address: Address, networks: Collection[Network]) -> bool:
    """Return True when an address lies in one of these networks."""
    return any(address.version == network.version and address in network for network in networks)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return address.is_global and not is_within(address, _FORBIDDEN_V4)
    return address in _GLOBAL_V6 and address.is_global and not is_within(address, _FORBIDDEN_V6)
