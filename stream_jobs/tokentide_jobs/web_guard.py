"""Which requests a page of another origin sent: nothing served on loopback answers them.

A browser lets any page send requests to 127.0.0.1, and names of foreign sites can be made to lead
there. What such a request cannot change is its Host, Origin and Sec-Fetch-Site headers. A second
Host is refused; of the others each value must be allowed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Protocol

__all__ = ["IDLE_S", "is_loopback", "refusal"]

IDLE_S: Final = 30.0
"""How long a connection may send nothing, or no whole head of a request: then it is closed."""

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_AUTHORITY = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::(\d{1,5}))?\Z")
_TARGET = re.compile(r"(?:https?://([^/?#]*))?(?:[/?#]|\Z)", re.IGNORECASE)
"""A request's target: a path, or a URL as proxies are asked for one."""
_HTTP_PORT: Final = 80
_OWN_SITES: Final = ("same-origin", "none")


class Headers(Protocol):
    """Headers of a request, by names in any case; each may come several times."""

    def getall(self, key: str, default: Sequence[str], /) -> Sequence[str]:
        """Return every value of one header."""
        ...


def is_loopback(host: str) -> bool:
    """Tell whether ``host`` is a name or address of this machine alone."""
    return host.lower() in _LOOPBACK or host == "::1"


def refusal(headers: Headers, target: str, port: int, *, any_host: bool = False) -> str | None:
    """Say why a request is refused; None when it may be answered.

    Args:
        headers: Of the request.
        target: What the request line asks for, as it came: a path or a whole URL.
        port: Where this server listens.
        any_host: True for a server that other machines reach by names it does not know; pages of
            other origins are refused all the same.
    """
    hosts = headers.getall("Host", ())
    if len(hosts) > 1:
        return f"a request has one Host, this one has {len(hosts)}"
    host = hosts[0] if hosts else ""
    authority = _AUTHORITY.match(host)
    if authority is None:
        return f"Host {host[:100]!r} is not a name of this server"
    if not any_host and not _is_ours(authority, port):
        return f"Host {host[:100]!r} is not a name of this server: use 127.0.0.1:{port}"
    asked = _TARGET.match(target)
    if asked is None or (asked[1] is not None and asked[1].lower() != host.lower()):
        return f"the request asks for {target[:100]!r}, which is not on the server that Host names"
    for origin in headers.getall("Origin", ()):
        if origin.lower() != f"http://{host.lower()}":
            return f"Origin {origin[:100]!r} may not use this server"
    if any(site.lower() not in _OWN_SITES for site in headers.getall("Sec-Fetch-Site", ())):
        return "pages of other sites may not use this server"
    return None


def _is_ours(authority: re.Match[str], port: int) -> bool:
    return is_loopback(authority[1]) and int(authority[2] or _HTTP_PORT) == port
