"""How a database differs from what the SQL files make, as problems for `tokentide status`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tokentide_jobs.core.status import Problem
from tokentide_jobs.core.tables import ROLLUPS, SCHEMA_MIGRATIONS, SUBJECTS, WINDOWS
from tokentide_jobs.counted import counted
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.error_codes import SinkMisconfigured
from tokentide_jobs.io.schema.schema_state import schema_state

__all__ = ["schema_problems"]

_NO_SUCH_TABLE = (60, 81)
"""Error codes: the table, or its whole database, is not there."""


def schema_problems(store: ClickHouse, *, looks_again: bool = False) -> tuple[Problem, ...]:
    """Compare the database with the SQL files, as `tokentide migrate` does; nothing is changed.

    Args:
        store: ClickHouse with the database of the pipeline.
        looks_again: Wait for a newer release that may be altering a table, where one differs.

    Raises:
        SinkMisconfigured: The account may not see the tables, so that nothing is known.
        RetriableSinkError: ClickHouse does not answer, or cannot now.
    """
    return tuple(_problems(store, looks_again=looks_again))


def _problems(store: ClickHouse, *, looks_again: bool) -> Iterator[Problem]:
    database = store.database
    state = schema_state(store.rows, database, looks_again=looks_again)
    if state is None:
        if _is_gone(store, SCHEMA_MIGRATIONS):
            yield Problem(
                "bad",
                f"database {database} has no tables of Tokentide, or lost the record of them: "
                "run `tokentide migrate`",
            )
        return
    drift = state.drift
    gone = sorted(name for name in drift.objects & state.storing if _is_gone(store, name))
    if gone:
        again = sorted({WINDOWS, *ROLLUPS, SUBJECTS}.intersection(gone))
        fill = f", then `tokentide repair` fills {', '.join(again)}" if again else ""
        yield Problem(
            "bad", f"database {database} lacks {', '.join(gone)}: run `tokentide migrate`{fill}"
        )
    if drift.columns:
        yield Problem(
            "bad",
            f"database {database} lacks columns that were made before: "
            f"{', '.join(drift.columns)}: `tokentide migrate` names the files that define them",
        )
    if drift.changed:
        yield Problem(
            "bad",
            f"database {database} is not as it was made: {'; '.join(drift.changed)}: "
            "`tokentide migrate` says what to do",
        )
    # Nothing that is stored needs these: people and boards do.
    if others := sorted(drift.objects - state.storing):
        yield Problem(
            "attention",
            f"{', '.join(others)} of database {database} are gone or have another text: "
            "run `tokentide migrate`",
        )
    if state.due:
        yield Problem(
            "attention", f"{_files(state.due, 'is', 'are')} not run yet: run `tokentide migrate`"
        )
    # An older release would put its views back, and a migration that was changed is refused.
    if state.other_versions:
        yield Problem(
            "attention",
            f"{_files(state.other_versions, 'was', 'were')} run in another version: by another "
            "release, or the file was changed here since. Only the newest release may migrate",
        )


def _is_gone(store: ClickHouse, name: str) -> bool:
    """Tell whether a table is gone and was not made again; raises where it may not be seen."""
    try:
        store.select("status/table", {"table": name})
    except SinkMisconfigured as exc:
        if exc.code in _NO_SUCH_TABLE:
            return True
        raise
    return False


def _files(names: Iterable[str], one: str, several: str) -> str:
    first, *others = names
    more = f" and {counted(len(others), 'further file')}" if others else ""
    return f"sql/{first}{more} of this version {several if others else one}"
