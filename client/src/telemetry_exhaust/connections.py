"""Connections through the proxy that the environment names, and with a CA bundle of one's own."""

from __future__ import annotations

import base64
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from telemetry_exhaust.errors import UsageError

if TYPE_CHECKING:
    from urllib3.poolmanager import PoolManager

CONNECTIONS: Final = 8


def proxy_for(url: str) -> str | None:
    """Return the proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name for an address; None for a direct connection."""
    address = urlsplit(url)
    if proxy_bypass(address.netloc or ""):
        return None
    proxies = getproxies()
    found = proxies.get(address.scheme) or proxies.get("all")
    return found if not found or "://" in found else f"http://{found}"


def open_pool(proxy: str | None, ca_bundle: str | None) -> PoolManager:
    """Return connections, direct or through a proxy.

    Raises:
        UsageError: the CA bundle cannot be read, or the proxy is of a kind that is not known.
    """
    context = _context(ca_bundle)
    if proxy is None:
        return urllib3.PoolManager(maxsize=CONNECTIONS, ssl_context=context)
    if urlsplit(proxy).scheme not in {"http", "https"}:
        raise UsageError(f"the proxy {_shown(proxy)} is of a kind that is not known; name an http or https proxy")
    return urllib3.ProxyManager(proxy, proxy_headers=_credentials(proxy), maxsize=CONNECTIONS, ssl_context=context)


def _context(ca_bundle: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_bundle)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"the CA bundle {ca_bundle} cannot be read ({error}); name a PEM file") from error


def _credentials(proxy: str) -> dict[str, str]:
    address = urlsplit(proxy)
    if not address.username:
        return {}
    plain = f"{unquote(address.username)}:{unquote(address.password or '')}"
    return {"proxy-authorization": "Basic " + base64.b64encode(plain.encode()).decode()}


def _shown(proxy: str) -> str:
    return proxy.rpartition("@")[2]
