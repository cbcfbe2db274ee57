"""The keys under which user ids are hashed: one key, or several with an id each, newest first.

Invariant: no key is in an error message.
"""

from __future__ import annotations

import re

from tokentide.settings.values import SettingsError

MIN_KEY_CHARS = 16
"""A shorter key could be found by trying."""
_KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,32}\Z", re.ASCII)
_REMEDY = (
    "TOKENTIDE_USER_HASH_KEY (or user_hash_key; not shown): {what}; give one key of at least "
    f"{MIN_KEY_CHARS} characters, or `id:key,id:key` with the newest first, for example from "
    "`openssl rand -hex 32`"
)


def read_keys(text: str) -> list[tuple[str, bytes]]:
    """Return (id, key), newest first, of the setting's text; a single bare key has the id `1`.

    Raises:
        SettingsError: The text holds no usable keys. It is not part of the message.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    found: list[tuple[str, bytes]] = []
    for part in parts:
        key_id, colon, key = part.partition(":")
        if not colon:
            if len(parts) > 1:
                raise SettingsError(_REMEDY.format(what="several keys need an id each"))
            key_id, key = "1", part
        if not _KEY_ID.match(key_id):
            raise SettingsError(_REMEDY.format(what="an id is not 1 to 32 of A-Z a-z 0-9 _ . -"))
        if len(key) < MIN_KEY_CHARS:
            raise SettingsError(_REMEDY.format(what=f"key {key_id!r} is too short"))
        if key_id in dict(found):
            raise SettingsError(_REMEDY.format(what=f"the id {key_id!r} is given twice"))
        found.append((key_id, key.encode("utf-8", "surrogatepass")))
    if not found:
        raise SettingsError(_REMEDY.format(what="it holds no key"))
    return found
