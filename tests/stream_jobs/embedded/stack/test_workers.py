"""Workers that end are started again, each by itself."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tokentide_jobs.embedded.stack.workers import WorkerPool

pytestmark = pytest.mark.integration


def test_a_worker_that_does_not_start_holds_up_no_other_and_is_tried_ever_later(
    tmp_path: Path,
) -> None:
    notes: list[str] = []
    # Each ends at its first start and stays at its second.
    script = 'mkdir "$0" && exit 7; exec sleep 60'
    names = ("before", "broken", "after")
    pool = WorkerPool(
        {name: ["/bin/sh", "-c", script, str(tmp_path / name)] for name in names},
        log_dir=tmp_path / "logs",
        env={"PATH": "/usr/bin:/bin"},
        notify=notes.append,
    )
    pool.start()
    try:
        give_up_at = time.monotonic() + 60
        while pool.records() and time.monotonic() < give_up_at:
            time.sleep(0.01)
        log = tmp_path / "logs" / "broken.log"
        log.unlink()
        log.mkdir()  # it cannot be written, as one of another user could not
        started = False
        while len([line for line in notes if "does not start" in line]) < 2:
            assert time.monotonic() < give_up_at, notes
            started |= pool.restart_due()
            time.sleep(0.01)
        assert started
        assert {record.name for record in pool.records()} == {"before", "after"}
        failures = [line for line in notes if line.startswith("broken does not start, again in ")]
        assert [line.split()[6] for line in failures] == ["0.4", "0.8"]
        assert "Is a directory" in failures[0]

        log.rmdir()
        while len(pool.records()) < 3:
            assert time.monotonic() < give_up_at, notes
            pool.restart_due()
            time.sleep(0.01)
    finally:
        pool.stop(5.0)
