"""Who is notified: the receivers of detect.yaml, their addresses checked, their secrets hidden."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

from tokentide_jobs.core.alert.finding import SEVERITIES, Severity
from tokentide_jobs.errors import ConfigError

__all__ = ["Receiver", "checked_url", "secret_bytes"]

_PREFIX: Final = "whsec_"
_LEAST_SECRET: Final = 24
_MOST_SECRET: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """One receiver.

    Attributes:
        name: Unique; results are stored under it.
        kind: webhook: signed, by Standard Webhooks; slack: a body that Slack takes.
        url: Where; it may hold a secret and is never shown.
        secret: That signs; empty for slack.
        severity: The least that it is notified of.
    """

    name: str
    kind: Literal["webhook", "slack"]
    url: str = field(repr=False)
    secret: bytes = field(repr=False, default=b"")
    severity: Severity = "ticket"

    @property
    def severities(self) -> tuple[Severity, ...]:
        """Return what it is notified of."""
        return SEVERITIES[SEVERITIES.index(self.severity) :]

    @property
    def place(self) -> str:
        """Return the address as people may see it: scheme and host."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"


def checked_url(url: str) -> str:
    """Return an address that may be sent to.

    Raises:
        ConfigError: It may not; the address itself is not repeated, it may hold a secret.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        if parts.hostname:
            parts.hostname.encode("idna")  # as the resolver does
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ConfigError("expected an address http(s)://host[:port]/path")
    if parts.username or parts.password:
        raise ConfigError("an address with an account in it; webhooks are signed instead")
    if any(character.isspace() or not character.isprintable() for character in url):
        raise ConfigError("an address with blanks or control characters in it")
    return url


def secret_bytes(text: str) -> bytes:
    """Return the bytes of a secret `whsec_<base64>`.

    Raises:
        ConfigError: It is none.
    """
    try:
        secret = base64.b64decode(text.strip().removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not _LEAST_SECRET <= len(secret) <= _MOST_SECRET:
        raise ConfigError(
            f"expected {_PREFIX} and {_LEAST_SECRET} to {_MOST_SECRET} bytes in base64: "
            "make one with `openssl rand -base64 32`"
        )
    return secret
