"""The key under which ingest hashes users that log records of coding agents name.

The same key as the services' gives the same `user_hash`. Invariant: no key is in an error message,
and without a key no user is kept.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from tokentide.privacy import hash_under
from tokentide.settings.keys import read_keys
from tokentide.settings.values import SettingsError
from tokentide_jobs.core.record.agent_logs import HashUser, no_user_hash
from tokentide_jobs.errors import ConfigError

__all__ = ["user_hasher"]

_FILE: Final = "TOKENTIDE_USER_HASH_KEY_FILE"
_KNOWN_USERS: Final = 4096
"""Hashes that are remembered: a fleet's developers."""


def user_hasher(path: Path | None) -> HashUser:
    """Return what stands for a user: a hash under the newest key of a file, or nothing.

    Args:
        path: One key of at least 16 characters, or `id:key,id:key` with the newest first; None:
            no user is kept.

    Raises:
        ConfigError: The file cannot be read, or holds no key.
    """
    if path is None:
        return no_user_hash
    try:
        newest = read_keys(path.read_text(encoding="utf-8").strip())[0]
    except (OSError, UnicodeDecodeError) as exc:
        # The whole error would name the path again, or a byte of the key.
        why = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise ConfigError(
            f"{_FILE} is {str(path)!r}: cannot be read as text ({why}); let this user read it, "
            "name another file, or unset the setting to keep no users"
        ) from None
    except SettingsError as exc:
        detail = str(exc).partition(": ")[2] or "it holds no key"
        raise ConfigError(f"{_FILE} is {str(path)!r}: {detail}") from None

    @lru_cache(maxsize=_KNOWN_USERS)
    def hashed(user: str) -> str | None:
        return hash_under(newest, user)

    return hashed
