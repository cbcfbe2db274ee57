"""Where the workers of this machine answer: each announces its health page in the data directory.

A worker without a writable data directory announces nothing and works all the same. A file counts
only while the process that wrote it lives.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from tokentide_jobs.owner_only import owner_only_directory, owner_only_file
from tokentide_jobs.settings.stack_file import is_alive

__all__ = ["announce_worker", "announced_workers", "withdraw_worker"]

_FOLDER: Final = "workers"


def announce_worker(data_dir: Path, url: str) -> None:
    """Write where this process answers, if there is a data directory that it may write to."""
    if data_dir.is_dir():
        with suppress(OSError):
            folder = data_dir / _FOLDER
            owner_only_directory(folder)
            fd = owner_only_file(_file(data_dir), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            with os.fdopen(fd, "w") as file:
                file.write(json.dumps({"pid": os.getpid(), "url": url}) + "\n")


def withdraw_worker(data_dir: Path) -> None:
    """Remove what `announce_worker` wrote."""
    with suppress(OSError):
        _file(data_dir).unlink()


def announced_workers(data_dir: Path) -> Iterator[tuple[str, str]]:
    """Yield (name, url) of every worker that lives; remove what dead ones left."""
    for path in sorted((data_dir / _FOLDER).glob("*.json")):
        try:
            found = json.loads(path.read_text())
            pid, url = int(found["pid"]), str(found["url"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if is_alive(pid):
            yield f"{pid} on this machine", url
        else:
            with suppress(OSError):
                path.unlink()


def _file(data_dir: Path) -> Path:
    return data_dir / _FOLDER / f"{os.getpid()}.json"
