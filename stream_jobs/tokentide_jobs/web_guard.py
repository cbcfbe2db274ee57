"""Which requests a page of another origin sent: nothing served on loopback answers them.

A browser lets any page send requests to 127.0.0.1, and names of foreign sites can be made to lead
there. What such a request cannot change is its Host, Origin and Sec-Fetch-Site headers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["is_loopback", "refusal"]

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_AUTHORITY = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::(\d{1,5}))?\Z")
_HTTP_PORT: Final = 80
_OWN_SITES: Final = ("same-origin", "none")


def is_loopback(host: str) -> bool:
    """Tell whether ``host`` is a name or address of this machine alone."""
    return host.lower() in _LOOPBACK or host == "::1"


def refusal(headers: Mapping[str, str], port: int, *, any_host: bool = False) -> str | None:
    """Say why a request is refused; None when it may be answered.

    Args:
        headers: Of the request; names in any case, as HTTP libraries give them.
        port: Where this server listens.
        any_host: True for a server that other machines reach by names it does not know; pages of
            other origins are refused all the same.
    """
    host = headers.get("Host", "")
    authority = _AUTHORITY.match(host)
    if authority is None:
        return f"Host {host[:100]!r} is not a name of this server"
    if not any_host and not _is_ours(authority, port):
        return f"Host {host[:100]!r} is not a name of this server: use 127.0.0.1:{port}"
    origin = headers.get("Origin")
    if origin is not None and origin.lower() != f"http://{host.lower()}":
        return f"Origin {origin[:100]!r} may not use this server"
    site = headers.get("Sec-Fetch-Site")
    if site is not None and site.lower() not in _OWN_SITES:
        return "pages of other sites may not use this server"
    return None


def _is_ours(authority: re.Match[str], port: int) -> bool:
    return is_loopback(authority[1]) and int(authority[2] or _HTTP_PORT) == port
