"""What a run need not do: import files without a test for it, trace what no gate measures.

Importing all files takes ten seconds in each process, and tracing lines makes a test three times
slower. Neither changes which tests run.
"""

from __future__ import annotations

import re
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
    """Trace no test of anything else: files that run measured lines too often say so themselves."""
    for item in items:
        if not item.path.relative_to(ROOT).as_posix().startswith(_MEASURED):
            item.add_marker("no_cover")
