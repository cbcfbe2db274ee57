"""Archives of classes: made once, kept while they are used, removed when no start has used them."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tokentide_jobs.embedded.kafka.archive import have

DAY_S = 86_400.0


def train(archive: Path) -> None:
    archive.write_bytes(b"classes")


def used_before(archive: Path, days: float) -> Path:
    archive.touch()
    at_s = time.time() - days * DAY_S
    os.utime(archive, (at_s, at_s))
    return archive


def test_a_new_archive_takes_the_place_of_those_that_no_start_has_used_for_a_month(
    tmp_path: Path,
) -> None:
    old = used_before(tmp_path / "classes-old.aot", 31)
    recent = used_before(tmp_path / "classes-recent.aot", 29)
    jar = used_before(tmp_path / "kafka.jar", 400)
    new = tmp_path / "classes-new.aot"
    have(new, train)
    assert not old.exists()
    assert recent.exists()
    assert jar.exists()
    assert new.read_bytes() == b"classes"


def test_an_archive_that_is_used_is_kept_however_old_it_is(tmp_path: Path) -> None:
    old = used_before(tmp_path / "classes-old.aot", 400)
    have(old, train)
    assert old.read_bytes() == b"", "it was made again"
    have(tmp_path / "classes-new.aot", train)
    assert old.exists()


def test_nothing_is_removed_while_no_archive_is_made(tmp_path: Path) -> None:
    other = used_before(tmp_path / "classes-other.aot", 400)
    have(used_before(tmp_path / "classes-mine.aot", 1), train)
    assert other.exists()
