"""One SQL source for a single node and for a cluster: fills placeholders, splits statements.

`${database}`, `${on_cluster}`, `${engine:Name}` and `${dedup}` are all that differs between them.
Pure text in, text out: the same file and target always give the same statements.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tokentide_jobs.core.tables import DATABASE_NAME, DATABASE_RULE
from tokentide_jobs.errors import ConfigError

__all__ = ["SqlTarget", "render", "split_statements"]

DEDUP_INSERTS: Final = 10_000
"""Inserts a table remembers by token on a single node. It counts every insert into the table, so at
ten inserts a second a token is known for a quarter of an hour; the ledger covers older replays."""
DEDUP_INSERTS_REPLICATED: Final = 100_000
DEDUP_SECONDS_REPLICATED: Final = 7 * 24 * 3600
"""Keeper remembers longer: the default of an hour is shorter than an outage."""

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_CLUSTER = re.compile(r"[A-Za-z0-9_.{}-]+")
_ENGINE = re.compile(r"((?:[A-Z][a-z]+)*MergeTree)(\(.*\))?")
# One token of SQL as far as splitting cares; unclosed quotes and comments run to the end.
_TOKEN = re.compile(
    r"""--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^'\\]|\\.|'')*(?:'|\Z)|`[^`]*(?:`|\Z)|"[^"]*(?:"|\Z)|;""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class SqlTarget:
    """Where statements run.

    Attributes:
        database: Name of the database.
        cluster: Name of the cluster for ON CLUSTER and replicated engines; None is a single node.
    """

    database: str = "tokentide"
    cluster: str | None = None

    def __post_init__(self) -> None:
        if not DATABASE_NAME.fullmatch(self.database):
            raise ConfigError(
                f"TOKENTIDE_DATABASE={self.database!r} is no database name: {DATABASE_RULE}"
            )
        if self.cluster is not None and not _CLUSTER.fullmatch(self.cluster):
            raise ConfigError(
                f"cluster {self.cluster!r} is no cluster name: use letters, digits, '_', '-', '.'"
            )


def render(text: str, target: SqlTarget, source: str = "SQL") -> str:
    """Return `text` with every placeholder filled for `target`.

    Args:
        text: SQL with placeholders.
        target: Single node or cluster.
        source: Name of the file, for messages.

    Raises:
        ConfigError: A placeholder is unknown.
    """

    def fill(match: re.Match[str]) -> str:
        name, _, argument = match.group(1).partition(":")
        value = _value(name, argument, target)
        if value is None:
            raise ConfigError(
                f"{source}: unknown placeholder {match.group(0)}:"
                " known are ${database}, ${on_cluster}, ${dedup} and ${engine:…MergeTree}"
            )
        return value

    # An empty ${on_cluster} leaves a blank at the end of its line.
    return re.sub(r"[ \t]+$", "", _PLACEHOLDER.sub(fill, text), flags=re.MULTILINE)


def split_statements(text: str) -> Iterator[str]:
    """Yield the statements of `text`, comments in front of each kept, the semicolon removed.

    A semicolon inside quotes or comments does not end a statement; a piece that holds nothing but
    comments is not a statement.
    """
    start = 0
    for token in _TOKEN.finditer(text):
        if token.group() == ";":
            yield from _statement(text[start : token.start()])
            start = token.end()
    yield from _statement(text[start:])


def _statement(piece: str) -> Iterator[str]:
    bare = _TOKEN.sub(lambda t: "" if t.group()[:2] in ("--", "/*") else t.group(), piece)
    if bare.strip():
        yield piece.strip()


def _value(name: str, argument: str, target: SqlTarget) -> str | None:
    replicated = target.cluster is not None
    if name == "database" and not argument:
        return target.database
    if name == "on_cluster" and not argument:
        return f"ON CLUSTER '{target.cluster}'" if replicated else ""
    if name == "dedup" and not argument:
        if replicated:
            return (
                f"replicated_deduplication_window = {DEDUP_INSERTS_REPLICATED},"
                f" replicated_deduplication_window_seconds = {DEDUP_SECONDS_REPLICATED}"
            )
        return f"non_replicated_deduplication_window = {DEDUP_INSERTS}"
    if name == "engine" and _ENGINE.fullmatch(argument):
        # Path and replica come from the server's defaults (/clickhouse/tables/{uuid}/{shard}).
        return f"Replicated{argument}" if replicated else argument
    return None
