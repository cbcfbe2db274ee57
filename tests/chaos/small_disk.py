"""A small disk of its own that a test can fill: a tmpfs, where mounting one is allowed."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MIB = 1 << 20
_ATTEMPTS = 20
"""The last pages of a disk that others write to may never be had."""


class SmallDisk:
    """A mounted disk and what fills it."""

    def __init__(self, path: Path, files: int) -> None:
        self.path = path
        self.files = files
        self._filler = path / "filler"
        self._names = path / "names"

    @property
    def free_bytes(self) -> int:
        """Free now."""
        return shutil.disk_usage(self.path).free

    def fill(self, leave_bytes: int) -> None:
        """Take all the room but this; what runs may take the rest."""
        with self._filler.open("ab") as file:
            for _attempt in range(_ATTEMPTS):
                wanted = self.free_bytes - leave_bytes
                if wanted <= 0:
                    break
                try:
                    os.posix_fallocate(file.fileno(), 0, file.tell() + wanted)
                except OSError as exc:
                    if exc.errno != errno.ENOSPC:
                        raise
                    continue  # another process has taken some of it since it was counted
                file.seek(0, os.SEEK_END)

    def fill_with_files(self) -> None:
        """Make empty files until the disk takes no new one; what is there may still grow."""
        self._names.mkdir()
        for number in range(self.files):
            try:
                (self._names / str(number)).touch()
            except OSError as exc:
                if exc.errno != errno.ENOSPC:
                    raise
                return

    def free(self) -> None:
        """Give the room back."""
        self._filler.unlink(missing_ok=True)
        shutil.rmtree(self._names, ignore_errors=True)


@contextmanager
def small_disk(path: Path, size_mib: int, files: int = 100_000) -> Iterator[SmallDisk]:
    """Mount a disk for so much and so many files, or skip the test where that is not allowed."""
    path.mkdir(parents=True)
    options = f"size={size_mib}m,nr_inodes={files}"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tokentide-test", str(path)]
    try:
        done = subprocess.run(mount, check=False, capture_output=True, text=True)
    except OSError as exc:
        pytest.skip(f"a disk to fill needs the program mount: {exc}")
    if done.returncode != 0:
        pytest.skip(f"a disk to fill needs the right to mount one: {done.stderr.strip()}")
    try:
        yield SmallDisk(path, files)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True, capture_output=True)
