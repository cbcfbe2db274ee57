"""Which tests stay in one worker, which begin, and how many workers there are.

Tests of a file stay together, and those of files that share what is costly to make: it is then
made once a run and not once in each worker. Files that take longest begin, so that no worker is
left with one of them when the others have ended.
"""

from __future__ import annotations

import os
from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

READ_ALL_SOURCES: Final = (
    "tests/test_architecture.py",
    "tests/test_dead_code.py",
    "tests/test_references.py",
    "tests/test_words.py",
    "tests/stream_jobs/core/test_tables.py",
    "tests/stream_jobs/test_backoff.py",
    "tests/stream_jobs/test_errors.py",
)
"""They walk the trees of all source files (`tests/sources.py`)."""

LONGEST: Final = (
    "tests/end_to_end/test_demo.py",
    "tests/end_to_end/test_hostile_records.py",
    "tests/stream_jobs/tasks/verify/test_faults.py",
    "tests/chaos/test_everything_dies.py",
    "tests/stream_jobs/tasks/repair/test_repair.py",
    "tests/stream_jobs/tasks/void/test_void.py",
    "tests/sql/test_migrations.py",
    "tests/end_to_end/test_production_lines.py",
    "tests/end_to_end/test_first_ten_minutes.py",
    "tests/chaos/test_worker_killed.py",
    "tests/chaos/test_crash_schedules.py",
    "tests/dashboards/rules/test_normal_week.py",
    "tests/stream_jobs/embedded/stack/test_lifecycle.py",
    "tests/end_to_end/test_detection.py",
    "tests/end_to_end/test_stack_restart.py",
    "tests/end_to_end/test_verify_under_traffic.py",
    "tests/stream_jobs/tasks/reprice/test_reprice.py",
    "tests/stream_jobs/embedded/clickhouse/access/test_bypasses.py",
    "tests/stream_jobs/jobs/detect/test_session.py",
    "tests/end_to_end/test_percentiles.py",
    "tests/dashboards/test_boards.py",
    "tests/stream_jobs/embedded/clickhouse/test_clickhouse_go.py",
)
"""Of the integration tests, the longest first; the end of a run names files that are missing."""


class ByWhatIsShared(LoadFileScheduling):  # type: ignore[misc] # published without types
    """Hands out tests by files, and some files together; the longest first."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return READ_ALL_SOURCES[0] if file in READ_ALL_SOURCES else file

    def _assign_work_unit(self, node: WorkerController) -> None:
        self.workqueue.move_to_end(min(self.workqueue, key=_turn), last=False)
        super()._assign_work_unit(node)


def _turn(file: str) -> int:
    return LONGEST.index(file) if file in LONGEST else len(LONGEST)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByWhatIsShared | None:
    """Take the place of `--dist loadfile`."""
    return ByWhatIsShared(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Let one more integration test run than there are processors: a quarter of one is waiting."""
    if config.getoption("markexpr") != "integration":
        return None
    return (os.cpu_count() or 1) + 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the files that should have begun earlier."""
    if late := late_files(_seconds_by_file(terminalreporter)):
        listed = ", ".join(f"{file} took {took_s:.0f} s" for file, took_s in late.items())
        terminalreporter.write_line(f"To be named in LONGEST of tests/scheduling.py: {listed}")


def late_files(took_s: dict[str, float]) -> dict[str, float]:
    """Return the files that are not named, and took longer than half of those that are."""
    named = sorted(took_s[file] for file in LONGEST if file in took_s)
    if len(named) < len(LONGEST):
        return {}
    return {
        file: seconds
        for file, seconds in took_s.items()
        if file not in LONGEST and seconds > named[len(named) // 2]
    }


def _seconds_by_file(terminalreporter: pytest.TerminalReporter) -> dict[str, float]:
    found: dict[str, float] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                file = report.nodeid.partition("::")[0]
                found[file] = found.get(file, 0.0) + report.duration
    return found
