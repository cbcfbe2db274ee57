"""The SQL files in their order, their statements, and which of them a database has seen."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from tokentide_jobs.core.tables import SCHEMA_MIGRATIONS
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.schema.definitions import Rows
from tokentide_jobs.io.schema.sql_files import sql_root
from tokentide_jobs.io.schema.sql_template import SqlTarget, render, split_statements

__all__ = ["Script", "load_scripts", "recorded_checksums"]

_NUMBERED = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True)
class Script:
    """One SQL file.

    Attributes:
        name: Path below sql/: `migrations/0002_raw_events.sql`.
        text: As written, placeholders unfilled.
        once: A numbered migration, which must not change once applied; else replaced when it does.
    """

    name: str
    text: str
    once: bool

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self, target: SqlTarget) -> tuple[str, ...]:
        """Return the statements with their placeholders filled."""
        return tuple(split_statements(render(self.text, target, self.name)))


def load_scripts(root: Path | None = None) -> list[Script]:
    """Return every script in the order of application: migrations, functions, views.

    Raises:
        ConfigError: A migration is not named `NNNN_name.sql`, or a number is used twice.
    """
    root = root or sql_root()
    scripts: list[Script] = []
    numbers: dict[str, str] = {}
    for path in sorted((root / "migrations").glob("*.sql")):
        match = _NUMBERED.fullmatch(path.name)
        if match is None:
            raise ConfigError(f"{path}: name it NNNN_what_it_does.sql (four digits, lower case)")
        if other := numbers.get(match.group(1)):
            raise ConfigError(f"{path}: number {match.group(1)} is taken by {other}: renumber one")
        numbers[match.group(1)] = path.name
        scripts.append(Script(f"migrations/{path.name}", path.read_text("utf-8"), once=True))
    for folder in ("functions", "views"):
        for path in sorted((root / folder).glob("*.sql")):
            scripts.append(Script(f"{folder}/{path.name}", path.read_text("utf-8"), once=False))
    return scripts


def recorded_checksums(rows: Rows, database: str) -> dict[str, list[str]] | None:
    """Return checksums by file name, oldest first; None when there is no version table yet."""
    known = (
        "SELECT count() FROM system.tables "
        "WHERE database = {database:String} AND name = {name:String}"
    )
    ((tables,),) = rows(known, {"database": database, "name": SCHEMA_MIGRATIONS})
    if not tables:
        return None
    found: dict[str, list[str]] = {}
    for name, checksum in rows(
        f"SELECT name, checksum FROM {database}.{SCHEMA_MIGRATIONS}"  # noqa: S608
        " ORDER BY name, applied_at"
    ):
        found.setdefault(str(name), []).append(str(checksum))
    return found
