"""What every test run needs; a process that collects no tests loads nothing of what they import."""

from __future__ import annotations

import gc
from collections.abc import Generator

import pytest

from tests.confinement import pytest_runtest_protocol, pytest_runtest_teardown
from tests.scheduling import pytest_xdist_make_scheduler
from tests.selection import pytest_collection_modifyitems, pytest_ignore_collect

__all__ = [
    "pytest_collection_modifyitems",
    "pytest_ignore_collect",
    "pytest_runtest_protocol",
    "pytest_runtest_teardown",
    "pytest_xdist_make_scheduler",
]


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Load what tests share, where tests run: workers do when there are any.

    Not before the measuring of coverage has begun: modules that are imported earlier count as if
    nobody had run them.
    """
    config = session.config
    if config.getoption("dist", "no") == "no" or hasattr(config, "workerinput"):
        config.pluginmanager.import_plugin("tests.shared")


def pytest_collection_finish() -> None:
    """Keep what was imported out of later garbage collections, which many tests ask for."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Collect no garbage while a failure is put into words.

    Both that and a warning from a finalizer parse source. CPython 3.11 cannot begin the second
    amid the first, and pytest ends there.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
