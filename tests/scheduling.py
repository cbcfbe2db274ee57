"""Which tests stay in one worker: those of a file, and of files that share what is costly to make.

What a test makes once for its file, or keeps for others of its process, is then made once a run
and not once in each worker.
"""

from __future__ import annotations

from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

_READ_ALL_SOURCES: Final = (
    "tests/test_architecture.py",
    "tests/test_dead_code.py",
    "tests/test_references.py",
    "tests/test_words.py",
    "tests/stream_jobs/core/test_tables.py",
    "tests/stream_jobs/test_backoff.py",
    "tests/stream_jobs/test_errors.py",
)
"""They walk the trees of all source files (`tests/sources.py`)."""


class ByWhatIsShared(LoadFileScheduling):  # type: ignore[misc] # published without types
    """Hands out tests by files, and some files together."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return _READ_ALL_SOURCES[0] if file in _READ_ALL_SOURCES else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByWhatIsShared | None:
    """Take the place of `--dist loadfile`."""
    return ByWhatIsShared(config, log) if config.getoption("dist") == "loadfile" else None
