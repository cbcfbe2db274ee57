"""The addresses of the embedded stack that runs in a data directory, from its `stack.json`."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tokentide_jobs.errors import ConfigError
from tokentide_jobs.urls import with_credentials
from tokentide_schemas.topics import OTLP

__all__ = [
    "CLICKHOUSE_DIRECTORY",
    "STACK_FILE_NAME",
    "StackWorkers",
    "is_alive",
    "password_file_of",
    "running_stack",
    "workers_of_stack",
]

STACK_FILE_NAME: Final = "stack.json"
CLICKHOUSE_DIRECTORY: Final = "clickhouse"
"""In the data directory: all that belongs to ClickHouse."""
_PASSWORD_FILE: Final = "password"  # noqa: S105  # a file's name
"""In the directory of ClickHouse."""


@dataclass(frozen=True, slots=True)
class StackWorkers:
    """The workers that a running stack keeps."""

    number: int = 0
    """That ingest."""
    age_s: float = 0.0
    """Since the stack became ready."""
    detectors: int = 0
    """That detect."""


def password_file_of(directory: Path) -> Path:
    """Return where a stack keeps the password of ClickHouse's owner."""
    return directory / CLICKHOUSE_DIRECTORY / _PASSWORD_FILE


def running_stack(directory: Path) -> dict[str, str]:
    """Return the addresses in `stack.json` when the process that wrote it runs, else nothing."""
    path = directory / STACK_FILE_NAME
    try:
        stack = json.loads(path.read_text())
        if not is_alive(int(stack["pid"])):
            return {}
        words = stack.get("restarted_logs", {})
        found = {
            "kafka_bootstrap": str(stack["kafka"]),
            "clickhouse_url": with_credentials(
                str(stack["clickhouse_url"]), str(stack["user"]), str(stack["password"])
            ),
            "events_topic": str(stack["events_topic"]),
            "log_id": str(words.get(stack["events_topic"], "")),
            "otlp_log_id": str(words.get(OTLP.name, "")),
        }
        return {name: value for name, value in found.items() if value}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ConfigError(
            f"{path} is not readable as the state of a running stack ({exc!r}): "
            "stop the stack and remove the file"
        ) from exc


def workers_of_stack(directory: Path) -> StackWorkers:
    """Return how many workers the stack that runs there keeps, and since when."""
    path = directory / STACK_FILE_NAME
    try:
        age_s = max(0.0, time.time() - path.stat().st_mtime)
        stack = json.loads(path.read_text())
        is_running = is_alive(int(stack["pid"]))
        number, detectors = int(stack["workers"]), int(stack.get("detectors", 0))
    except (OSError, ValueError, KeyError, TypeError):
        return StackWorkers()  # an unreadable file is an error of `running_stack`
    return StackWorkers(number, age_s, detectors) if is_running else StackWorkers(age_s=age_s)


def is_alive(pid: int) -> bool:
    """Tell whether a process with this id runs, under any owner."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it runs, as another user
    return True
