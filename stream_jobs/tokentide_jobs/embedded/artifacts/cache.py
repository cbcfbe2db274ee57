"""Where downloaded and derived files live that every clone and data directory may share.

Several processes may fill the cache at once: a process that adds to it holds `exclusive`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["default_cache_dir", "exclusive"]


def default_cache_dir() -> Path:
    """Return `$XDG_CACHE_HOME/tokentide`, or `~/.cache/tokentide`; it may be deleted.

    To prepare a machine without network, copy this directory from one that has run
    `tokentide up` once.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tokentide"


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Wait until no other process is at work in a folder of the cache, and keep others out."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
