"""Writes litellm_differences.csv: `python -m tests.stream_jobs.core.price.price_differences`.

Every base rate that our list and LiteLLM's map price more than 1 % apart, with a verdict and a
source. Verdicts that are there already stay; a new difference gets `?`, and a test fails until
it has been judged: `ours` is right by the source, or `stand-in`, where the status says that we
have no price of our own for that seller, place or moving name.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

from tokentide_jobs.core.price.second_opinion import ComparedRate, compare_quotes, disagrees, quotes
from tokentide_jobs.io.files.litellm_map import read_price_map
from tokentide_jobs.io.files.price_source import compile_cards

HERE = Path(__file__).parent
EXTRACT = HERE / "litellm_extract.json"
TABLE = HERE / "litellm_differences.csv"
FIELDS = ("provider", "model", "place", "unit", "ours", "theirs", "status", "verdict", "source")
AT_US = int(datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()) * 1_000_000
"""When the map was read; at noon UTC DeepSeek's prices are those outside its peak hours."""

Row = dict[str, str]


def judged() -> list[ComparedRate]:
    """Return every rate that both lists have a word on, LiteLLM's from the committed extract."""
    found = quotes(read_price_map(str(EXTRACT)))
    return list(compare_quotes(compile_cards(), found, AT_US))


def differences(rates: list[ComparedRate]) -> list[Row]:
    """Return the rows of the table without their verdicts, in USD per million tokens."""
    rows = []
    for one in rates:
        if disagrees(one) and one.ours is not None:
            ours, theirs = (f"{rate / 1_000_000:g}" for rate in (one.ours, one.theirs))
            names = {"provider": one.provider, "model": one.model, "place": one.place}
            row = {**names, "unit": one.unit, "ours": ours, "theirs": theirs, "status": one.status}
            rows.append(row)
    return sorted(rows, key=lambda row: tuple(row.values()))


def committed() -> list[Row]:
    """Return the rows of the table as it is committed."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def main() -> None:
    """Write the table again."""
    known = {tuple(row.values())[:-2]: row for row in committed()} if TABLE.exists() else {}
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        for row in differences(judged()):
            writer.writerow(known.get(tuple(row.values()), {**row, "verdict": "?", "source": "?"}))


if __name__ == "__main__":
    main()
