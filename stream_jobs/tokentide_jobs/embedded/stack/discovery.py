"""Where the running stack of a data directory is: `stack.json`, written when it is ready.

The file is valid only while the process that wrote it lives and holds the directory's lock; a
stack that was killed leaves the file behind, and no client connects to what it names.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tokentide_jobs.embedded.processes.locks import holder_pid
from tokentide_jobs.owner_only import owner_only_file
from tokentide_jobs.settings.stack_file import STACK_FILE_NAME
from tokentide_jobs.urls import with_credentials

__all__ = ["StackInfo", "find_stack", "publish", "withdraw"]


@dataclass(frozen=True, slots=True)
class StackInfo:
    """A running stack.

    Attributes:
        kafka: Bootstrap address, `127.0.0.1:PORT`.
        clickhouse_url: `http://127.0.0.1:PORT`; empty when only the broker was started.
        user: The account of ClickHouse that may write.
        password: Its password. Only the owner of the data directory may read it.
        events_topic: Where producers write.
        pid: The owner of the process tree: SIGTERM to it stops everything.
        broker: `kafka` or `tansu`.
        log_id: Identity of the events topic when the stack became ready; for people. A reader of
            the topic asks the broker, because it may have been made again since.
        data_dir: Absolute path.
        workers: How many ingest workers it keeps running.
        detectors: How many detect workers it keeps running.
        viewer_url: Where a browser sees the boards; empty: no viewer runs.
        restarted_logs: The words under which its workers read topics as new logs, by topic.
    """

    kafka: str
    clickhouse_url: str
    user: str
    password: str
    events_topic: str
    pid: int
    broker: str
    log_id: str
    data_dir: str
    workers: int = 0
    detectors: int = 0
    viewer_url: str = ""
    restarted_logs: dict[str, str] = field(default_factory=dict)

    @property
    def clickhouse_dsn(self) -> str:
        """The URL with the account that may write, for clients; never shown to people."""
        return with_credentials(self.clickhouse_url, self.user, self.password)

    def to_json(self) -> str:
        """Return one line, the form of `stack.json` and of `tokentide up --json`."""
        return json.dumps(asdict(self))


def find_stack(data_dir: Path) -> StackInfo | None:
    """Return the stack that runs in a data directory and is ready, None if there is none."""
    try:
        found = json.loads((data_dir / STACK_FILE_NAME).read_text(encoding="utf-8"))
        info = StackInfo(**{name: found[name] for name in StackInfo.__slots__ if name in found})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return info if holder_pid(data_dir) == info.pid else None


def publish(data_dir: Path, info: StackInfo) -> None:
    """Write `stack.json`; a reader sees the whole file or none."""
    temporary = data_dir / f"{STACK_FILE_NAME}.{os.getpid()}"
    temporary.unlink(missing_ok=True)
    fd = owner_only_file(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(info.to_json() + "\n")
    temporary.replace(data_dir / STACK_FILE_NAME)


def withdraw(data_dir: Path) -> None:
    """Remove `stack.json`: from now on the stack cannot be relied upon."""
    (data_dir / STACK_FILE_NAME).unlink(missing_ok=True)
