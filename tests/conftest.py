"""What every test run needs; a process that collects no tests loads nothing of what they import."""

from __future__ import annotations

import gc
from collections.abc import Generator

import pytest

from tests.confinement import pytest_runtest_protocol, pytest_runtest_teardown
from tests.scheduling import (
    pytest_terminal_summary,
    pytest_xdist_auto_num_workers,
    pytest_xdist_make_scheduler,
)
from tests.selection import (
    pytest_collection_modifyitems,
    pytest_ignore_collect,
    pytest_runtest_call,
)

__all__ = [
    "pytest_collection_modifyitems",
    "pytest_ignore_collect",
    "pytest_runtest_call",
    "pytest_runtest_protocol",
    "pytest_runtest_teardown",
    "pytest_terminal_summary",
    "pytest_xdist_auto_num_workers",
    "pytest_xdist_make_scheduler",
]


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Load what tests share, where tests run: workers do when there are any.

    Not before the measuring of coverage has begun: modules that are imported earlier count as if
    they had not been run.
    """
    gc.disable()  # until all is imported: nearly nothing of it is garbage
    config = session.config
    if config.getoption("dist", "no") == "no" or hasattr(config, "workerinput"):
        config.pluginmanager.import_plugin("tests.shared")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Begin with garbage collections where all is imported."""
    try:
        return (yield)
    finally:
        _keep_out_of_collections()
        gc.enable()


@pytest.fixture(scope="module", autouse=True)
def nothing_of_other_files_in_collections() -> None:
    """Keep what other files have left behind out of the collections that tests ask for."""
    _keep_out_of_collections()


def _keep_out_of_collections() -> None:
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
