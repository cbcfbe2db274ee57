"""URLs with an account in them: put in for clients, taken out for people."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

__all__ = ["is_http_url", "redact_text", "redact_url", "with_credentials"]


_HIDDEN: Final = "***"
_SCHEME: Final = re.compile(r"[A-Za-z0-9+.-]+:?/+|/*")
# These go through a text once, however it ends: data stand in messages and logs, and a word of
# 100,000 letters that is tried from each of its letters takes seconds.
_NAMES: Final = "password|passwd|secret|token|key"
_PARAMETER: Final = re.compile(
    rf"(?i)[?&;](?:(?!{_NAMES})[^=&;])*+(?:(?:{_NAMES})[^=&;]*+(?:=([^&;#\s]*+))?)?"
)
_URL_IN_TEXT: Final = re.compile(r"(?<![A-Za-z0-9+.-])[A-Za-z0-9+.-]++://[^\s'\"<>]+")


def is_http_url(url: str) -> bool:
    """Tell whether this is the address of a server, and nothing of an account is taken for it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    rest = f"{parts.path}{parts.query}{parts.fragment}"
    is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    return is_web and port != 0 and "@" not in rest


def redact_url(url: str) -> str:
    """Return `url` with every password in it replaced by three stars.

    It need not be a usable URL: a mistyped one is what error messages quote, and then too much is
    hidden rather than too little.
    """
    credentials, at, address = url.rpartition("@")
    if at:
        scheme = _SCHEME.match(credentials)
        begin = scheme.end() if scheme else 0
        user, colon, _password = credentials[begin:].partition(":")
        if colon:
            url = f"{credentials[:begin]}{user}:{_HIDDEN}@{address}"
    return _PARAMETER.sub(_without_secret, url)


def redact_text(text: str) -> str:
    """Return a message with the passwords of every URL in it hidden."""
    return _URL_IN_TEXT.sub(lambda match: redact_url(match[0]), text)


def with_credentials(url: str, user: str, password: str) -> str:
    """Return `url` for this account; as it is when the account has no password."""
    if not url or not password:
        return url
    parts = urlsplit(url)
    account = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{account}@{parts.netloc}"))


def _without_secret(parameter: re.Match[str]) -> str:
    if parameter[1] is None:
        return parameter[0]
    return parameter[0][: parameter.start(1) - parameter.start()] + _HIDDEN
