"""Data directories whose ClickHouse is migrated already: one is made in a run, and copied.

To migrate an empty database takes three seconds of CPU, to see that nothing lacks half of one.
Tests of a first start (`tokentide up`, the demo, the first ten minutes) begin with nothing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import clickhouse_connect
import pytest

from tokentide_jobs.embedded.clickhouse.process import ClickHouseProcess
from tokentide_jobs.io.schema.migrations import migrate
from tokentide_jobs.settings.stack_file import CLICKHOUSE_DIRECTORY

__all__ = ["Prepared", "prepared"]

Prepared = Callable[[Path], Path]
"""Puts a copy into a directory, and returns the directory."""


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Prepare directories for stacks: the database `tokentide` is there, and empty."""
    of_the_run = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        of_the_run = of_the_run.parent
    migrated = of_the_run / "migrated"
    with (of_the_run / "migrated.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the workers of a run share one
        if not migrated.exists():
            _make(of_the_run / "being-migrated").rename(migrated)

    def copied(directory: Path) -> Path:
        shutil.copytree(migrated, directory, symlinks=True, dirs_exist_ok=True)
        return directory

    return copied


def _make(directory: Path) -> Path:
    with (
        ClickHouseProcess.start(directory / CLICKHOUSE_DIRECTORY) as server,
        clickhouse_connect.get_client(dsn=server.dsn) as admin,
    ):
        migrate(admin)
    return directory
