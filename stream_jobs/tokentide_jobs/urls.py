"""URLs with an account in them: put in for clients, taken out for people."""

from __future__ import annotations

from urllib.parse import quote, urlsplit, urlunsplit

__all__ = ["redact_url", "with_credentials"]


def redact_url(url: str) -> str:
    """Return `url` with its password replaced by three stars."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    _credentials, _at, address = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{address}"))


def with_credentials(url: str, user: str, password: str) -> str:
    """Return `url` for this account; as it is when the account has no password."""
    if not url or not password:
        return url
    parts = urlsplit(url)
    account = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{account}@{parts.netloc}"))
