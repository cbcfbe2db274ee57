"""The password of the account that may write: made once, kept in a file only its owner reads."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from tokentide_jobs.errors import ConfigError
from tokentide_jobs.owner_only import owner_only_file

PASSWORD_FILE: Final = "password"  # noqa: S105  # a file's name
OWNER_NAME: Final = "default"
"""The account that the file belongs to."""

_RANDOM_BYTES: Final = 24
_OWNER_ONLY: Final = 0o600


def read_password(directory: Path) -> str:
    """Return the password of a data directory.

    Raises:
        ConfigError: There is none, or it cannot be read.
    """
    path = directory / PASSWORD_FILE
    try:
        password = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as exc:
        raise ConfigError(f"password file {path}: {exc}") from exc
    if not password:
        raise ConfigError(f"password file {path}: it is empty; remove it and a new one is made")
    return password


def settle_password(directory: Path) -> str:
    """Return the password of a data directory; the first start makes it.

    Raises:
        ConfigError: The file cannot be read or written.
    """
    path = directory / PASSWORD_FILE
    if not path.exists():
        partial = path.with_name(f"{PASSWORD_FILE}.partial")
        try:
            partial.unlink(missing_ok=True)
            fd = owner_only_file(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(secrets.token_urlsafe(_RANDOM_BYTES) + "\n")
            partial.replace(path)
        except OSError as exc:
            raise ConfigError(f"password file {path}: {exc}") from exc
    path.chmod(_OWNER_ONLY)
    return read_password(directory)
