"""The traffic of the cookbook's seed, worked out a second time, and its questions and answers.

Every value is arithmetic on the number of a call, so what a query must answer is known.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from tokentide_jobs.io.schema.sql_files import sql_root
from tokentide_jobs.io.schema.sql_template import SqlTarget, render, split_statements


def moment(month: int, day: int, hour: int = 0) -> dt.datetime:
    return dt.datetime(2026, month, day, hour, tzinfo=dt.UTC)


NOW = moment(11, 18, 12)
FIRST = moment(10, 1)
STEP = dt.timedelta(seconds=350)
PICO = 10**12
SEED = Path(__file__).parent / "data" / "cookbook_seed.sql"


def recipes() -> dict[str, str]:
    text = (sql_root() / "cookbook.md").read_text("utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    recipes = {}
    for section in sections:
        question, _newline, body = section.partition("\n")
        (recipes[question],) = re.findall(r"```sql\n(.*?)```", body, re.DOTALL)
    return recipes


RECIPES = recipes()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the seed, worked out here a second time from its number."""

    n: int

    @property
    def at(self) -> dt.datetime:
        return FIRST + self.n * STEP

    @property
    def model(self) -> str:
        return ("gpt-4.1-mini", "claude-sonnet-4", "gpt-4.1", "mystery-1")[self.n % 4]

    @property
    def tenant(self) -> str:
        return ("acme", "globex", "initech")[self.n % 3]

    @property
    def team(self) -> str:
        return ("search", "support")[self.n % 2]

    @property
    def run(self) -> str:
        return f"r{self.n // 12}-{self.n % 3}"

    @property
    def is_v2(self) -> bool:
        return self.at >= moment(11, 10)

    @property
    def status(self) -> str:
        if self.n % 50 == 7:
            return "error"
        if self.n % 97 == 11:
            return "refused"
        return "cancelled" if self.n % 101 == 13 else "ok"

    @property
    def has_usage(self) -> bool:
        return self.n % 100 != 7 and self.n % 200 != 10

    @property
    def is_priced(self) -> bool:
        return self.n % 4 != 3 and self.has_usage

    @property
    def read(self) -> int:
        return 512 if self.n % 3 == 0 else 0

    @property
    def written(self) -> int:
        return 200 if self.n % 4 == 1 and self.n % 5 == 0 else 0

    @property
    def uncached(self) -> int:
        return 1000 + self.n % 500 - self.read - self.written

    @property
    def output(self) -> int:
        return (100 + self.n % 200) * (2 if self.is_v2 else 1)

    @property
    def rates(self) -> tuple[int, int, int, int]:
        """Pico-USD per token: input, cache read, cache write, output."""
        return (
            (400_000, 100_000, 0, 1_600_000),
            (3_000_000, 300_000, 3_750_000, 15_000_000),
            (2_000_000, 500_000, 0, 8_000_000),
            (0, 0, 0, 0),
        )[self.n % 4]

    @property
    def cost(self) -> int:
        if not self.is_priced:
            return 0
        amounts = (self.uncached, self.read, self.written, self.output)
        return sum(a * r for a, r in zip(amounts, self.rates, strict=True))

    @property
    def tool(self) -> str:
        return ("codex", "claude-code", "", "")[self.n % 4]

    @property
    def reported(self) -> int | None:
        """What a coding agent says it cost, pico-USD: a tenth too much every fifth time."""
        if self.tool != "claude-code" or not self.is_priced:
            return None
        return self.cost * (11 if self.n % 20 == 1 else 10) // 10


@cache
def calls() -> tuple[Call, ...]:
    calls = (Call(n) for n in range(11972))
    return tuple(call for call in calls if call.at < NOW)


def since(days: float) -> list[Call]:
    return [call for call in calls() if call.at >= NOW - dt.timedelta(days=days)]


def usd(calls: Iterable[Call]) -> Decimal:
    return Decimal(sum(call.cost for call in calls)) / PICO


def seed(client: Client) -> None:
    """Fill a migrated database; its fixed dates must not meet a retention."""
    database = str(client.command("SELECT currentDatabase()"))
    tables = client.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase()"
        " AND engine_full LIKE '% TTL %'"
    ).result_columns[0]
    for table in tables:
        # The seed has fixed dates: retention would drop it one day.
        client.command(f"ALTER TABLE {table} REMOVE TTL")
    for statement in split_statements(render(SEED.read_text("utf-8"), SqlTarget(database))):
        client.command(statement, settings={"max_partitions_per_insert_block": 0})


def ask(client: Client, question: str) -> list[dict[str, Any]]:
    return run(client, RECIPES[question])


def run(client: Client, recipe: str) -> list[dict[str, Any]]:
    query = recipe.replace("now('UTC')", f"toDateTime('{NOW:%F %T}', 'UTC')")
    assert "now()" not in query and "today()" not in query, "write now('UTC')"
    return list(client.query(query).named_results())
