"""Where Grafana is and who asks: an address, and a token or a user and password.

The secret comes from a file, a variable or the URL, from exactly one of them, and is in no text
that this module makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from tokentide_jobs.errors import ConfigError
from tokentide_jobs.settings import Settings

__all__ = ["GrafanaAccess", "grafana_access"]

_TOKEN: Final = "TOKENTIDE_GRAFANA_TOKEN"  # noqa: S105 - the name of a variable
_FILE: Final = "TOKENTIDE_GRAFANA_TOKEN_FILE"
_URL: Final = "TOKENTIDE_GRAFANA_URL"
_HOW: Final = (
    f"give one of {_FILE} (a file with the token of a service account), {_TOKEN} (the token), or a "
    f"user and password in {_URL}"
)


@dataclass(frozen=True, slots=True)
class GrafanaAccess:
    """An address and an account.

    Attributes:
        url: `http://host:port/path`, without an account and without a slash at the end.
        user: Signs in with `secret` as its password; "": `secret` is a token.
        secret: Never shown.
        ca_file: Certificates that the server's is checked with; None: those of the system.
    """

    url: str
    user: str = ""
    secret: str = field(repr=False, default="")
    ca_file: Path | None = None


def grafana_access(settings: Settings, environ: Mapping[str, str]) -> GrafanaAccess:
    """Return where Grafana is and who asks.

    Args:
        settings: Name the address, the file of the token and the certificates.
        environ: Usually `os.environ`: has the token where no file has it.

    Raises:
        ConfigError: No address, no secret or two of them, or one that no header can hold.
    """
    if not settings.grafana_url:
        raise ConfigError(
            f"{_URL} is not set: set it to Grafana's address, http(s)://host:port; "
            "`tokentide status` looks at the pipeline without a Grafana"
        )
    parts = urlsplit(settings.grafana_url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    given = {
        _FILE: "" if settings.grafana_token_file is None else _read(settings.grafana_token_file),
        _TOKEN: environ.get(_TOKEN, "").strip(),
        f"the password in {_URL}": unquote(parts.password or ""),
    }
    found = [name for name, secret in given.items() if secret]
    if len(found) != 1:
        problem = f"both {' and '.join(found)} are set" if found else "no token is set"
        raise ConfigError(f"Grafana at {bare}: {problem}: {_HOW}")
    user, secret = unquote(parts.username or ""), given[found[0]]
    is_token = all("!" <= character <= "~" for character in secret)
    if not user and not is_token:
        raise ConfigError(
            f"{found[0]} holds characters that no token has, such as a blank or a line end: "
            "write the token alone into it"
        )
    if ":" in user or any(character in "\r\n\0" for character in user + secret):
        raise ConfigError(
            f"the user in {_URL} has a colon, or its password a line end: HTTP cannot send that"
        )
    ca_file = settings.grafana_ca_file
    if ca_file is not None and not ca_file.is_file():
        raise ConfigError(f"TOKENTIDE_GRAFANA_CA_FILE is {str(ca_file)!r}: there is no such file")
    return GrafanaAccess(bare, user, secret, ca_file)


def _read(path: Path) -> str:
    try:
        secret = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        # The words of a decoding error quote bytes of the file.
        why = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise ConfigError(f"{_FILE} is {str(path)!r}: cannot be read as text ({why})") from None
    if not secret:
        raise ConfigError(f"{_FILE} is {str(path)!r}: the file is empty; write the token into it")
    return secret
