"""The event loop of the background thread.

It is a plain selector loop of its own, never the host's policy (uvloop, a patched loop), and it
starts no further thread, not even for name resolution: at the interpreter's exit threads can no
longer be started, and a script that emits one event and ends must still get it out.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokentide.worker import Worker


class OneThreadLoop(asyncio.SelectorEventLoop):
    """An event loop that resolves names itself instead of in a pool of threads.

    A slow name server then delays only this loop, which has nothing else to wait for.
    """

    async def getaddrinfo(self, host: Any, port: Any, **hints: int) -> list[Any]:
        """Resolves a name; blocks the loop meanwhile."""
        return socket.getaddrinfo(host, port, **hints)


def run_worker(worker: Worker, beside: Worker | None = None) -> None:
    """Runs the worker to its end on a new event loop, and cleans up behind it.

    Args:
        worker: The events' worker: when it ends, everything ends.
        beside: Another one, whose end or failure changes nothing for the first.
    """
    loop = OneThreadLoop()
    # What asyncio would log here (futures nobody asked about, after a connection was dropped) is
    # already in the producer's counters; the host's log is not the place for it.
    loop.set_exception_handler(lambda _loop, _context: None)
    try:
        loop.run_until_complete(worker.run() if beside is None else _run_both(worker, beside))
    finally:
        try:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            if left:
                loop.run_until_complete(asyncio.wait(left, timeout=1.0))
        finally:
            loop.close()


async def _run_both(worker: Worker, beside: Worker) -> None:
    other = asyncio.ensure_future(beside.run())
    try:
        await worker.run()
    finally:
        beside.stop()
        await asyncio.wait([other], timeout=1.0)
