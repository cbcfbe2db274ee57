"""One worker process from its preparation to its exit code, whatever job it runs.

A signal while the services are waited for ends it at once; later ones are Faust's. What the
process holds is let go of exactly where Faust has not done it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import Protocol

from tokentide_jobs.jobs.runtime.faust_app import JobWorker
from tokentide_jobs.jobs.runtime.log import log_event
from tokentide_jobs.jobs.runtime.memory import share_heaps

__all__ = ["WorkerProcess", "run_worker"]

_log = logging.getLogger(__name__)


class WorkerProcess(Protocol):
    """Everything that one worker process holds open."""

    async def prepare(self) -> JobWorker:
        """Wait for the services and return the worker, ready to run."""
        ...

    async def close(self) -> None:
        """Let go of everything. Safe to call twice."""
        ...


def run_worker(made: Callable[[asyncio.AbstractEventLoop], WorkerProcess]) -> int:
    """Run a worker until SIGTERM, SIGINT or a crash; return its exit code.

    Args:
        made: Makes the process for the loop that it will run on.
    """
    share_heaps()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    process = made(loop)
    code = 1
    try:
        code = _serve(process, loop)
    finally:
        if not loop.is_closed():  # Faust closes it, after the app's own shutdown closed the rest
            loop.run_until_complete(process.close())
        log_event(_log, logging.INFO, "worker_stopped", exit_code=code)
    return code


def _serve(process: WorkerProcess, loop: asyncio.AbstractEventLoop) -> int:
    preparing = loop.create_task(process.prepare())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, preparing.cancel)
    try:
        worker = loop.run_until_complete(preparing)
    except asyncio.CancelledError:
        return 0  # asked to stop while waiting for the services
    try:
        worker.execute_from_commandline()
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else 1
