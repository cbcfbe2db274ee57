"""What tables and views were when they were made, against what they are now.

The server names what they are, so the same server is asked both times; after another version of it
has come, nothing is compared once. Retention (TTL) is not part of it: it changes by design. The
name of the database is not, either: a copy that was restored under another name is the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final, Protocol

from clickhouse_connect.driver.client import Client

from tokentide_jobs.core.tables import SCHEMA_DEFINITIONS

__all__ = [
    "Definition",
    "Rows",
    "changes",
    "existing_definitions",
    "record",
    "recorded_definitions",
]


class Rows(Protocol):
    """Asks a server: the rows of a SELECT, with values for its typed parameters."""

    def __call__(
        self, query: str, parameters: Mapping[str, Any] | None = None, /
    ) -> Sequence[Sequence[Any]]:
        """Return the rows."""


_DATABASE: Final = "${database}"
"""Stands in the text of a view for the name of its own database."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A table or a view.

    Attributes:
        engine: As `system.tables` names it; `View` and `MaterializedView` for these.
        keys: Sorting, primary and partition key of a table.
        columns: Of a table: type and default by name. Of a view none: its text decides them.
        select: Text of a view, `${database}` for the name of its own.
    """

    engine: str
    keys: Mapping[str, str]
    columns: Mapping[str, str]
    select: str

    @property
    def is_view(self) -> bool:
        """Whether it can be made again without a loss."""
        return self.engine == "View"

    def to_json(self) -> str:
        """Return it as text, the same for the same definition."""
        return json.dumps(asdict(self), sort_keys=True)


def existing_definitions(rows: Rows, database: str) -> dict[str, Definition]:
    """Return what the tables and views of a database are, by name."""
    found = {}
    for name, engine, sorting, primary, partition, select, columns in rows(
        "SELECT t.name, t.engine, t.sorting_key, t.primary_key, t.partition_key, t.as_select, "
        "groupArray((c.name, trimRight(concat(c.type, ' ', c.default_kind, ' ', "
        "c.default_expression)))) FROM system.tables AS t LEFT JOIN system.columns AS c "
        "ON c.database = t.database AND c.table = t.name "
        "WHERE t.database = {database:String} GROUP BY ALL",
        {"database": database},
    ):
        keys = {"sorting": sorting, "primary": primary, "partition": partition}
        is_view = "View" in engine
        found[str(name)] = Definition(
            engine,
            {} if is_view else keys,
            {} if is_view else dict(columns),
            _without_name(select, database),
        )
    return found


def recorded_definitions(rows: Rows, database: str) -> dict[str, Definition]:
    """Return what was recorded of the server as it is now, by name; the table must be there."""
    found = rows(
        f"SELECT name, definition, server_version = version() FROM {database}."  # noqa: S608
        f"{SCHEMA_DEFINITIONS} FINAL"
    )
    made = {str(name): Definition(**json.loads(text)) for name, text, is_ours in found if is_ours}
    # What earlier versions recorded has the name in it.
    return {
        name: replace(one, select=_without_name(one.select, database)) for name, one in made.items()
    }


def changes(name: str, made: Definition, now: Definition) -> Iterator[str]:
    """Yield, in words, what is not any more as it was made; what was added is ignored."""
    if made.engine != now.engine:
        yield f"{name} has the engine {now.engine}, and was made with {made.engine}"
    elif made.select != now.select:
        yield f"{name} is a view {_another_text(made.select, now.select)}"
    for key, expression in made.keys.items():
        if (other := now.keys.get(key, "")) != expression:
            yield f"{name} has the {key} key ({other}), and was made with ({expression})"
    for column, form in made.columns.items():
        # A column that is gone is reported by its name, for all servers.
        if (other := now.columns.get(column, form)) != form:
            yield f"{name}.{column} is {other}, and was made as {form}"


def _without_name(select: str, database: str) -> str:
    return re.sub(rf"(?<![\w.`]){re.escape(database)}\.", f"{_DATABASE}.", select)


def _another_text(made: str, now: str) -> str:
    """Say what is other: after RENAME DATABASE a view still reads what had the old name."""
    own = re.escape(_DATABASE)
    same = re.escape(made).replace(own, r"(?P<database>\w+)", 1).replace(own, "(?P=database)")
    found = re.fullmatch(same, now)
    if found is None or _DATABASE not in made:
        return "with another text"
    return (
        f"on database {found['database']}, as this one was called: RENAME DATABASE leaves views "
        "behind, so give it its old name again"
    )


def record(
    client: Client, database: str, definitions: Mapping[str, Definition], looked_at: datetime
) -> None:
    """Note what these were at some time."""
    version = str(client.command("SELECT version()"))
    client.insert(
        SCHEMA_DEFINITIONS,
        [[name, one.to_json(), version, looked_at] for name, one in sorted(definitions.items())],
        column_names=["name", "definition", "server_version", "recorded_at"],
        database=database,
        settings={"async_insert": 0},
    )
