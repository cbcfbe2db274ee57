"""Azure LLM inference trace 2023: arrival times and token counts of a production service.

Columns: TIMESTAMP, ContextTokens, GeneratedTokens. The file tells neither model nor latency nor
who called; those stay empty here.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tokentide_jobs.replay.formats.trace import RecordedCall, Source, bad_line, number_of, open_text

__all__ = ["COLUMNS", "RECORDED", "SOURCE", "read"]

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
SOURCE = Source(
    "Azure LLM inference trace 2023 (Patel et al., Splitwise, ISCA 2024)",
    "CC-BY 4.0",
    "https://github.com/Azure/AzurePublicDataset",
)
RECORDED = ("arrival times and input and output tokens of chat calls (Azure 2023)",)


def read(path: Path) -> Iterator[RecordedCall]:
    """Yield the calls of a file in order of time.

    Raises:
        ConfigError: A line cannot be read, or goes back in time; file and line are named.
    """
    name = str(path)
    first_us = last_us = -1
    with open_text(path) as file:
        rows = csv.reader(file)
        next(rows, None)
        for row in rows:
            line = rows.line_num
            if len(row) != len(COLUMNS):
                problem = f"{len(row)} columns: expected {len(COLUMNS)} ({', '.join(COLUMNS)})"
                raise bad_line(name, line, problem)
            now_us = _epoch_us(row[0], name, line)
            if now_us < last_us:
                raise bad_line(name, line, f"TIMESTAMP {row[0]!r} is before that of the line above")
            last_us = now_us
            first_us = now_us if first_us < 0 else first_us
            yield RecordedCall(
                at_s=(now_us - first_us) / 1e6,
                kind="chat",
                input_tokens=int(number_of(row[1], COLUMNS[1], name, line)),
                output_tokens=int(number_of(row[2], COLUMNS[2], name, line)),
            )


def _epoch_us(text: str, name: str, line: int) -> int:
    """Return a time stamp with up to seven fractional digits as epoch microseconds."""
    whole, _dot, fraction = text.strip().partition(".")
    try:
        seconds = datetime.fromisoformat(whole.removesuffix("Z")).replace(tzinfo=UTC).timestamp()
        return int(seconds) * 1_000_000 + int((fraction.removesuffix("Z") + "000000")[:6])
    except ValueError:
        problem = f"TIMESTAMP is {text!r}: expected YYYY-MM-DD HH:MM:SS.fffffff"
        raise bad_line(name, line, problem) from None
