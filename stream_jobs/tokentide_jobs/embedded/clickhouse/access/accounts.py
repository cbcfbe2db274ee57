"""Who may ask, and what a read-only user may change.

Every query runs as the engine's one user, so accounts live here: a name, a password, and whether
the request's own connection is made read-only (`SET readonly = 1`), which the engine then
enforces.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tokentide_jobs.errors import ConfigError

from ..exceptions import ClickHouseError
from .password import OWNER_NAME
from .statement_limits import READER_LIMITS, WRITER_LIMITS, StatementLimits

CHANGEABLE_IN_READONLY: Final = frozenset(
    {
        "additional_result_filter",
        "additional_table_filters",
        "extremes",
        "join_use_nulls",
        "log_comment",
        "max_block_size",
        "max_bytes_to_read",
        "max_execution_time",
        "max_result_bytes",
        "max_result_rows",
        "max_rows_to_read",
        "max_threads",
        "read_overflow_mode",
        "result_overflow_mode",
        "session_timezone",
        "timeout_before_checking_execution_speed",
        "timeout_overflow_mode",
        "use_query_cache",
    }
)
"""Settings a read-only request may carry: they bound or format its own query and nothing else."""

_CHANGEABLE_PREFIXES: Final = ("output_format_", "format_", "date_time_output_", "http_")
"""What of these names files is fixed for all users (`engine.privileges`)."""


@dataclass(frozen=True, slots=True)
class User:
    """One account.

    Attributes:
        name: Login name.
        password_sha256: Lower-case hex digest; empty when no password is asked.
        readonly: True when the engine must refuse every write.
    """

    name: str
    password_sha256: str = ""
    readonly: bool = False

    @property
    def limits(self) -> StatementLimits:
        """How large a statement of this user may be."""
        return READER_LIMITS if self.readonly else WRITER_LIMITS

    def accepts(self, password: str) -> bool:
        """Tell whether ``password`` is right; compares in constant time."""
        if not self.password_sha256:
            return True
        return hmac.compare_digest(_digest(password), self.password_sha256)

    def may_set(self, setting: str) -> bool:
        """Tell whether a request of this user may carry ``setting``."""
        if not self.readonly:
            return True
        return setting in CHANGEABLE_IN_READONLY or setting.startswith(_CHANGEABLE_PREFIXES)


_READERS: Final = ("grafana", "analyst")
"""Accounts without a users file that only read, and need no password on the loopback interface."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """All accounts by name."""

    by_name: Mapping[str, User]

    def authenticate(self, name: str, password: str) -> User:
        """Find the account behind the credentials.

        Raises:
            ClickHouseError: 516, worded alike for a wrong name and a wrong password.
        """
        user = self.by_name.get(name)
        if user is None or not user.accepts(password):
            raise ClickHouseError(
                516,
                f"{name}: Authentication failed: password is incorrect, "
                "or there is no user with such name.",
            )
        return user


def default_accounts(password: str) -> Accounts:
    """Return the accounts without a users file: one that may write, and readers."""
    owner = User(OWNER_NAME, _digest(password))
    return Accounts({user.name: user for user in (owner, *(User(n, "", True) for n in _READERS))})


def load_accounts(path: Path) -> Accounts:
    """Read accounts from a JSON list of {name, password | password_sha256, readonly}.

    Raises:
        ConfigError: The file, entry and field at fault and what is expected there.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigError(f"users file {path}: {exc}; expected a JSON list of accounts") from exc
    if not isinstance(entries, list):
        raise ConfigError(f"users file {path}: expected a JSON list of accounts")
    users: dict[str, User] = {}
    for index, entry in enumerate(entries):
        user = _user(entry, f"users file {path}: entry {index}")
        users[user.name] = user
    if not users:
        raise ConfigError(f"users file {path}: it names no account; no client could connect")
    return Accounts(users)


def _user(entry: object, where: str) -> User:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise ConfigError(f"{where}: expected an object with a name")
    unknown = set(entry) - {"name", "password", "password_sha256", "readonly"}
    if unknown:
        raise ConfigError(
            f"{where}: unknown field {sorted(unknown)[0]!r}; "
            "known are name, password, password_sha256, readonly"
        )
    digest = str(entry.get("password_sha256", "")).lower()
    if entry.get("password"):
        digest = _digest(str(entry["password"]))
    return User(entry["name"], digest, bool(entry.get("readonly", False)))


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode(errors="surrogateescape")).hexdigest()
