"""A flood of failing requests leaves a bounded log, which says how much is missing."""

from __future__ import annotations

import logging

from tokentide_jobs.embedded.clickhouse.log_rate import LINES_PER_MINUTE, LineRate


def record() -> logging.LogRecord:
    return logging.LogRecord("n", logging.ERROR, "f", 1, "a request of %s failed", ("x",), None)


def test_lines_beyond_a_number_a_minute_are_counted_and_not_written() -> None:
    now_s = 0.0
    rate = LineRate(lambda: now_s)
    passed = [rate.filter(record()) for _ in range(LINES_PER_MINUTE + 3)]
    assert passed.count(True) == LINES_PER_MINUTE
    now_s = 60.0
    after = record()
    assert rate.filter(after)
    assert after.getMessage() == "(3 lines before this one were left out) a request of x failed"
    again = record()
    assert rate.filter(again)
    assert again.getMessage() == "a request of x failed"
