"""User ids as keyed hashes: the same user is recognised, and unknown without the key.

The value is `<key id>:<32 hex digits>`, HMAC-SHA256 of the id's UTF-8 text, cut to 128 bits. A bare
hash of an e-mail address is undone by hashing all likely addresses; a key prevents that. Invariant:
without a key no user identifier leaves the process.
"""

from __future__ import annotations

from functools import lru_cache
from typing import cast

from tokentide.log import logger
from tokentide.settings import Settings
from tokentide.settings.keys import read_keys

HASH_DIGITS = 32
_warned: set[str] = set()


def hash_user(settings: Settings, user: object) -> str | None:
    """Return what an event carries as `user_hash`, or None when nothing may be sent.

    Args:
        settings: Holds the keys; the first one is used.
        user: The host's own id of the user: text, a number, a UUID. Its text is hashed as it is,
            so `Ann@x.org` and `ann@x.org` are two users.

    Returns:
        None without a key (which is logged once), for an empty id, and for any other object: no
        method of the host's objects is called.
    """
    try:
        text = _text(user)
        if not text:
            return None
        if not settings.user_hash_key:
            _warn_once()
            return None
        return hash_under(_keys(settings.user_hash_key)[0], text)
    except Exception:
        return None


def hash_user_under_every_key(settings: Settings, user: object) -> list[str]:
    """Return the hashes of one user under all keys, newest first.

    Rows of this user are those whose `user_hash` is one of them: what a request for access or
    erasure needs after keys were rotated.
    """
    text = _text(user)
    if not text or not settings.user_hash_key:
        return []
    return [hash_under(key, text) for key in _keys(settings.user_hash_key)]


_keys = lru_cache(maxsize=8)(read_keys)


def hash_under(key: tuple[str, bytes], text: str) -> str:
    """Return the hash of a user's id under one key, given as (id, key)."""
    from hmac import digest  # only here: most hosts send no users

    key_id, secret = key
    mac = digest(secret, text.encode("utf-8", "surrogatepass"), "sha256")
    return f"{key_id}:{mac.hex()[:HASH_DIGITS]}"


def _text(user: object) -> str:
    kind = type(user)
    if issubclass(kind, str):
        return str.__str__(cast("str", user))
    if kind is int or (kind.__module__ == "uuid" and kind.__name__ == "UUID"):
        return str(user)
    if kind is bytes:
        return cast("bytes", user).decode("utf-8", "replace")
    return ""


def _warn_once() -> None:
    if not _warned:
        _warned.add("no key")
        logger.warning(
            "a user was named but TOKENTIDE_USER_HASH_KEY is not set: no user identifier is sent"
        )
