"""Which address a call comes from."""

import pytest
from aiohttp.test_utils import make_mocked_request

from services.gateway.rate_limits import caller_address


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, ["203.0.113.9"], "192.0.2.1"),
        (1, [], "192.0.2.1"),
        (1, ["203.0.113.9"], "203.0.113.9"),
        (1, ["198.51.100.7, 203.0.113.9"], "203.0.113.9"),
        (2, ["10.0.0.1, 198.51.100.7", "203.0.113.9"], "198.51.100.7"),
        (3, ["198.51.100.7, 203.0.113.9"], "192.0.2.1"),
        (1, ["nonsense"], "192.0.2.1"),
        (1, ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        (1, ["2001:DB8:1:2::9"], "2001:db8:1:2::/64"),
        (1, ["::ffff:203.0.113.9"], "203.0.113.9"),
    ],
)
def test_a_call_comes_from_the_address_that_the_last_trusted_proxy_saw(
    proxies: int, forwarded: list[str], expected: str
) -> None:
    request = make_mocked_request("POST", "/", headers=[("X-Forwarded-For", line) for line in forwarded])
    assert caller_address(request.clone(remote="192.0.2.1"), proxies) == expected
