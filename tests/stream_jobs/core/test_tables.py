"""Names of tables stand in `core/tables.py` alone, besides SQL; one rule says what a name is."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.each import each
from tests.places import ROOT
from tests.sources import source_of
from tokentide_jobs.core import tables
from tokentide_jobs.core.tables import IDENTIFIER
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.schema.sql_queries import load_query
from tokentide_jobs.io.schema.sql_template import SqlTarget
from tokentide_jobs.settings import Settings

NAMES = {*tables.KEPT_DAYS, *tables.WINDOW_LENGTH_S, *tables.RAW_TABLES.values()} | {
    value for name, value in vars(tables).items() if name.isupper() and isinstance(value, str)
}
ORDINARY_WORDS = {tables.DEAD_LETTERS, tables.SILENCES, tables.NOTIFICATIONS, tables.BUDGET_STATUS}
"""Texts count them, too, and queries about them and functions have that name."""
LENGTHS = re.compile(
    r"\b(?:60_000_000|3_600_000_000|86_400_000_000|(?:3_600|86_400) \* 1_000_000)\b"
    r"|\b_(?:MINUTE|HOUR|DAY)_S\b.* = \d|// 86_400"
)
NAMED = re.compile(rf"(?<!\w)(?:{'|'.join(sorted(NAMES - ORDINARY_WORDS))})(?!\w)")


def test_no_other_module_states_the_name_of_a_table() -> None:
    assert "raw_requests" in NAMES
    assert "windows_1d" in NAMES
    package = ROOT / "stream_jobs" / "tokentide_jobs"
    stated = [
        f"{path.relative_to(package)}:{line}: {found.group()}"
        for path in package.rglob("*.py")
        if path != package / "core" / "tables.py"
        for text, line in source_of(path).texts
        if (found := NAMED.search(text))
    ]
    assert stated == []


def test_boards_and_benchmarks_name_tables_inside_their_sql_alone() -> None:
    """A text that is a name and nothing else is a second definition."""
    stated = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for folder in ("dashboards", "bench")
        for path in (ROOT / folder).rglob("*.py")
        for text, line in source_of(path).texts
        if NAMED.fullmatch(text)
    ]
    assert stated == []


def test_the_lengths_of_minutes_hours_and_days_are_defined_once() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {found.group()}"
        for folder in ("stream_jobs", "dashboards", "bench")
        for path in (ROOT / folder).rglob("*.py")
        if "replay" not in path.parts  # it knows nothing of the pipeline
        if (found := LENGTHS.search(path.read_text(encoding="utf-8")))
    ]
    assert wrong == []


def by_setting(name: str) -> None:
    Settings.from_env({"TOKENTIDE_DATABASE": name})


def by_query(name: str) -> None:
    load_query("probe/event_ids").bound({"database": name}, {"since_us": 0})


@each("check", [by_setting, by_query, SqlTarget])
@each("name", ["1x", "ä", "a-b", "a.b", "a`b", " a", "a\n"])
def test_a_name_that_sql_would_have_to_quote_is_refused_everywhere(
    check: Callable[[str], object], name: str
) -> None:
    assert not IDENTIFIER.fullmatch(name)
    with pytest.raises(ConfigError, match="not starting with a digit"):
        check(name)


@pytest.mark.parametrize("check", [by_setting, by_query, SqlTarget])
def test_a_plain_name_is_taken_everywhere(check: Callable[[str], object]) -> None:
    check("_team_7")
