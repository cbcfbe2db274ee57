"""What a run need not do: import files without a test for it, trace what no gate measures or knows.

Importing all files takes ten seconds in each process, and tracing lines makes a test up to three
times slower. Neither changes which tests run, and a line is never counted that none has run.
"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.places import ROOT

_WHOLE_FILE_IS_MARKED = re.compile(r"^pytestmark = pytest\.mark\.integration$", re.MULTILINE)
_MEASURED = (
    "tests/golden/",
    "tests/producers/",
    "tests/stream_jobs/cli/",
    "tests/stream_jobs/core/",
    "tests/stream_jobs/jobs/",
    "tests/stream_jobs/tasks/",
)
"""Where the tests lie that run the lines of the SDK and of core/, whose coverage is measured."""
TRACED_S = 0.1
"""CPU time of a test after which it is traced no more: what it does then it has done before, as
others have. A line that comes first so late counts as not run."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out a file of which the mark expression of the Makefile selects no test."""
    if collection_path.suffix != ".py":
        return None
    wanted = config.getoption("markexpr")
    text = collection_path.read_text(encoding="utf-8") if wanted else ""
    if wanted == "integration" and "integration" not in text:
        return True
    if wanted == "not integration" and _WHOLE_FILE_IS_MARKED.search(text):
        return True
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Trace no test of anything else: files that run measured lines too often carry the mark."""
    measured = tuple(f"{ROOT / folder}/" for folder in _MEASURED)
    for item in items:
        if not str(item.path).startswith(measured):
            item.add_marker(pytest.mark.no_cover)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Measure the coverage of the beginning of each test."""
    loaded = sys.modules.get("coverage")
    measured = loaded.Coverage.current() if loaded is not None else None
    if measured is None:
        return (yield)
    is_traced = True

    def stop(_signal: int, _frame: object) -> None:
        nonlocal is_traced
        is_traced = False
        measured.stop()

    signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, TRACED_S)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, signal.SIG_IGN)  # by default one that is late kills
        if not is_traced:
            measured.start()
