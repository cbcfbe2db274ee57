"""Remove one protection of the ledger at a time; count crash schedules until one comes out wrong.

`make mutate-ledger` runs it and writes the table into `docs/exactly-once.md`.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from tests.chaos.crash_engine import Engine, played, running_engine, slim_database
from tests.chaos.crash_judge import wrong_schedules
from tests.chaos.mutations import MUTATIONS, Mutation
from tests.chaos.simulation import SilentPublisher
from tests.places import ROOT

SCHEDULES_AT_MOST = 200
DOCS = ROOT / "docs" / "exactly-once.md"
BEGIN, END = "<!-- mutate-ledger: begin -->", "<!-- mutate-ledger: end -->"


def first_wrong(engine: Engine, mutation: Mutation, first: int = 0) -> tuple[int, list[str]] | None:
    """Return which schedule was the first wrong one, counted from 1, and what was wrong with it.

    Args:
        engine: Where they are run.
        mutation: The protection that is missing.
        first: Number of the schedule to begin with; those before it are not run.
    """
    name = f"crash_without_{mutation.protection.replace(' ', '_')}"
    store = slim_database(engine, name, mutation.store)
    for number in range(first, SCHEDULES_AT_MOST):
        schedule = played(engine, store, SilentPublisher(), number, protocol=mutation.protocol)
        wrong = wrong_schedules(engine, store, [schedule], f"s{number}-")
        if wrong:
            [found] = wrong.values()
            return number + 1, found
    return None


def row_of(mutation: Mutation, found: tuple[int, list[str]] | None) -> str:
    """Return the row of the table for the docs."""
    number, what = found or (f"none in {SCHEDULES_AT_MOST}", ["nothing"])
    return f"| {mutation.protection} | {mutation.how} | {number} | {'; '.join(what)} |"


def table(engine: Engine) -> str:
    """Return the table for the docs."""
    lines = [
        "| removed | instead | schedules until the first wrong one | what went wrong in it |",
        "|---|---|---|---|",
    ]
    for mutation in MUTATIONS:
        lines.append(row_of(mutation, first_wrong(engine, mutation)))
        print(lines[-1], file=sys.stderr)
    return "\n".join(lines)


def in_the_docs() -> dict[str, str]:
    """Return the rows of the table as the docs have it, by protection."""
    rows = DOCS.read_text().partition(BEGIN)[2].partition(END)[0].strip().splitlines()[2:]
    return {row.split("|")[1].strip(): row for row in rows}


def main() -> int:
    """Measure, write the table into the docs; fail when a protection is not missed."""
    with tempfile.TemporaryDirectory() as directory, running_engine(Path(directory)) as engine:
        measured = table(engine)
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    DOCS.write_text(
        pattern.sub(lambda _: f"{BEGIN}\n{measured}\n{END}", DOCS.read_text()), encoding="utf-8"
    )
    return 1 if "none in" in measured else 0


if __name__ == "__main__":
    sys.exit(main())
