"""A spool directory for a test; what was opened on it is closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.producers.spool.spool_disk import Disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "spool")
    yield disk
    for spool in disk.spools:
        spool.close()
