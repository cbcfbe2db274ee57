"""The password of ClickHouse's account, read from a file as containers and systemd give secrets.

A file can hold any character without the escapes of a URL, and it is not seen among the variables
of a process.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from tokentide_jobs.errors import ConfigError
from tokentide_jobs.urls import is_http_url, redact_url, with_credentials

__all__ = ["with_password_of"]

_FILE = "TOKENTIDE_CLICKHOUSE_PASSWORD_FILE"
_URL = "TOKENTIDE_CLICKHOUSE_URL"


def with_password_of(path: str, url: str) -> str:
    """Return the URL with the password in the file; newlines at its end are not part of it.

    Args:
        path: The file.
        url: `http://user@host:port`, without a password.

    Raises:
        ConfigError: The file cannot be read or is empty; or the URL names no account, or has a
            password already.
    """
    try:
        password = Path(path).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{_FILE} is {path!r}: cannot be read as text ({exc})") from exc
    if not password:
        raise ConfigError(f"{_FILE} is {path!r}: the file is empty; write the password into it")
    if not is_http_url(url):
        raise ConfigError(f"{_FILE} is set: {_URL} must be http://user@host:port")
    parts = urlsplit(url)
    if parts.password is not None or not parts.username:
        raise ConfigError(
            f"{_URL} is {redact_url(url)!r}: with {_FILE} it names an account without a password, "
            "http://user@host:port"
        )
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return with_credentials(bare, unquote(parts.username), password)
