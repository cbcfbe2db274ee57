"""Asks workers whether they are ready: those announced in a data directory, and those named."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from tokentide_jobs.core.status import WorkerState
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.settings.worker_files import announced_workers

__all__ = ["ask_metric", "ask_workers"]

_ANSWER_S: Final = 3.0
_ASKED_AT_ONCE: Final = 16
_GONE: Final = ("no process listens there",)


def ask_workers(data_dir: Path, urls: Sequence[str]) -> tuple[WorkerState, ...]:
    """Return what every worker reports, in the order of their names.

    Args:
        data_dir: Workers on this machine announce themselves there.
        urls: Further ones, `http://host:port`.

    Raises:
        ConfigError: A URL is none.
    """
    for url in urls:
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"--worker is {url!r}: expected http://host:port")
    announced = list(announced_workers(data_dir))
    pages = [*announced, *((url, url.rstrip("/")) for url in urls)]
    if not pages:
        return ()
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        asked = zip(pages, pool.map(_ask, pages), strict=True)
        known = {name for name, _url in announced}
        # A live worker always listens: an announced one that refuses is another process by now.
        found = [
            state for (name, _url), state in asked if state.problems != _GONE or name not in known
        ]
    return tuple(sorted(found, key=lambda worker: worker.name))


def ask_metric(data_dir: Path, series: str) -> float:
    """Return the sum of one series over the workers announced in a data directory.

    Args:
        data_dir: Of the embedded stack.
        series: As an exposition names it: `tokentide_detect_windows_total{outcome="judged"}`. A
            worker that does not have it, or does not answer, counts nothing.
    """
    total = 0.0
    for _name, url in announced_workers(data_dir):
        try:
            with build_opener(ProxyHandler({})).open(f"{url}/metrics", timeout=_ANSWER_S) as page:
                lines = page.read().decode().splitlines()
        except OSError:
            continue
        values = (
            line.removeprefix(f"{series} ") for line in lines if line.startswith(f"{series} ")
        )
        total += sum(map(float, values))
    return total


def _ask(page: tuple[str, str]) -> WorkerState:
    name, url = page
    try:
        # A proxy of the environment has no business between a worker and its own machine.
        with build_opener(ProxyHandler({})).open(f"{url}/readyz", timeout=_ANSWER_S) as answer:
            return _state(name, json.load(answer))
    except HTTPError as exc:
        try:
            return _state(name, json.load(exc))
        except ValueError:
            return WorkerState(name, False, (f"{url} answers with status {exc.code}",))
    except URLError as exc:
        refused = isinstance(exc.reason, ConnectionRefusedError)
        return WorkerState(
            name, False, _GONE if refused else (f"it does not answer: {exc.reason}",)
        )
    except (OSError, ValueError) as exc:
        return WorkerState(name, False, (f"{url} does not answer: {exc}",))


def _state(name: str, report: dict[str, object]) -> WorkerState:
    floor = report.get("min_free_bytes")
    return WorkerState(
        name,
        report.get("status") == "ready",
        tuple(str(words) for key in ("problems", "waits_for") for words in _list(report, key)),
        is_starting=report.get("status") == "starting",
        resting=tuple(_rest(found) for found in _list(report, "resting_partitions")),
        min_free_bytes=floor if isinstance(floor, int) else None,
        role=str(report.get("role", "ingest")),
        notes=tuple(str(words) for words in _list(report, "notes")),
    )


def _list(report: dict[str, object], key: str) -> list[object]:
    found = report.get(key)
    return found if isinstance(found, list) else []


def _rest(found: object) -> str:
    if isinstance(found, dict):
        return f"{found.get('partition')} until {found.get('until')}"
    return str(found)  # a worker of an older version names the partition alone
