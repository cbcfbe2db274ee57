"""`python -m tokentide_jobs.embedded.clickhouse`: serve one data directory until stopped.

SIGTERM and Ctrl-C end it cleanly: no new requests, running ones are cancelled, the engine writes
what it holds. Exit codes: 0 stopped, 2 wrong option, 3 port or directory in use, 4 internal,
5 the engine could not write.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path

import psutil
from aiohttp import web

from tokentide_jobs.errors import ConfigError, StackError
from tokentide_jobs.owner_only import CHILD_UMASK
from tokentide_jobs.web_guard import IDLE_S

from .access.accounts import Accounts, default_accounts, load_accounts
from .access.password import settle_password
from .endpoint import Endpoint
from .engine.default_database import settle_default_database
from .engine.engine_config import CONFIG_FILE, MIN_FREE_BYTES, EngineLimits, write_config
from .engine.insert_tokens import forget_tokens_without_rows
from .engine.memory_budget import MemoryBudget
from .engine.ownership import DirectoryLock, port_in_use
from .engine.pool import CLOSE_WAIT_S, Engine, Lane
from .engine.set_aside import set_aside_unfinished_parts, settle_last_good
from .engine.waiting_space import EXTERNAL_DATA, WaitingSpace
from .log_rate import LineRate
from .request.form import FILES_PREFIX
from .run.external_tables import LONGEST_BYTES as EXTERNAL_BYTES
from .run.inserts import SPOOL_PREFIX
from .run.queries import RESULT_PREFIX

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
LANES: dict[Lane, int] = {"reader": 32, "read": 32, "write": 32, "control": 1}
"""Threads for each kind of request; they start when first used, and the last used is used first."""

_SHUTDOWN_S = 2.0
_LEAST_MEMORY_BYTES = 64_000_000
_OWNER_POLL_S = 1.0
_MAX_LINE_BYTES = 1 << 20
"""Longest request line and header: queries travel in URLs (the server's http_max_uri_size)."""


def main(argv: list[str] | None = None) -> int:
    """Run the server; returns the exit code."""
    options = _options(argv)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level="INFO")
    logging.getLogger("aiohttp.server").addFilter(LineRate())
    os.umask(CHILD_UMASK)
    # The engine takes its time zone from the process; analysts and tests expect UTC everywhere.
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        users_file: Path | None = options.users_file
        accounts = None if users_file is None else load_accounts(users_file)
        limits = EngineLimits(
            memory_bytes=options.memory_mb * 1_000_000,
            query_memory_bytes=options.memory_mb * 700_000,
            max_threads=options.max_threads,
            min_free_bytes=options.min_free_bytes,
        )
        data_dir = options.data_dir.resolve()
        with DirectoryLock(data_dir):
            if accounts is None:
                accounts = default_accounts(settle_password(data_dir))
            asyncio.run(_serve(data_dir, options, accounts, limits))
    except ConfigError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    except StackError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 3
    return 0


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tokentide_jobs.embedded.clickhouse",
        description="ClickHouse's HTTP interface over an embedded engine, on loopback only.",
    )
    parser.add_argument("--data-dir", type=Path, required=True, help="where all data lives")
    parser.add_argument("--port", type=int, default=8123, help="TCP port; 0 picks a free one")
    parser.add_argument("--ready-file", type=Path, help="JSON with url and pid, written when ready")
    parser.add_argument("--users-file", type=Path, help="JSON list of accounts")
    parser.add_argument("--owner-pid", type=int, help="stop when this process is gone")
    parser.add_argument("--memory-mb", type=int, default=800, help="ceiling of the engine")
    parser.add_argument(
        "--max-threads", type=int, default=max(1, min(4, os.cpu_count() or 1)), help="per query"
    )
    parser.add_argument(
        "--min-free-bytes",
        type=int,
        default=MIN_FREE_BYTES,
        help="refuse writes while the disk has less than this free",
    )
    parser.add_argument(
        "--max-result-mb",
        type=int,
        default=512,
        help="longest result that is held until it is whole",
    )
    parser.add_argument(
        "--body-timeout-s",
        type=float,
        default=30.0,
        help="longest pause in a request's body, and longest wait in all, "
        "of which every 500 bytes give back 1 s",
    )
    return parser.parse_args(argv)


async def _serve(
    data_dir: Path, options: argparse.Namespace, accounts: Accounts, limits: EngineLimits
) -> None:
    port: int = options.port
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    space = WaitingSpace(options.max_result_mb * 1_000_000, limits.min_free_bytes, data_dir)
    engine = _open_engine(data_dir, limits, space)
    endpoint = Endpoint(
        engine,
        accounts,
        body_timeout_s=options.body_timeout_s,
        external_space=WaitingSpace(EXTERNAL_BYTES, limits.min_free_bytes, data_dir, EXTERNAL_DATA),
        external_memory_bytes=max(_LEAST_MEMORY_BYTES, limits.memory_bytes // 8),
        min_free_bytes=options.min_free_bytes,
    )
    runner = web.AppRunner(
        endpoint.application(),
        handler_cancellation=True,
        access_log=None,
        shutdown_timeout=_SHUTDOWN_S,
        max_line_size=_MAX_LINE_BYTES,
        max_field_size=_MAX_LINE_BYTES,
        read_bufsize=1 << 20,
        auto_decompress=False,
        keepalive_timeout=IDLE_S,
    )
    try:
        await runner.setup()
        site = web.TCPSite(runner, HOST, port)
        try:
            await site.start()
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                raise port_in_use(HOST, port) from exc
            raise StackError(f"cannot listen on {HOST}:{port}: {exc.strerror}") from exc
        endpoint.port = runner.addresses[0][1]
        url = f"http://{HOST}:{endpoint.port}"
        _announce(url, options.ready_file)
        watches = [
            loop.create_task(_watch(options.owner_pid, stop)),
            loop.create_task(engine.write_failures.watch()),
        ]
        await stop.wait()
        for watch in watches:
            watch.cancel()
        await engine.interrupt()
    finally:
        await runner.cleanup()
        is_closed = await engine.close()
        _retract(options.ready_file)
        if not is_closed:
            # A query that waits on a network call cannot be interrupted. What is stored survives
            # this as it survives a crash; waiting longer would only end in SIGKILL.
            log.warning("a query did not stop within %s s; leaving it", CLOSE_WAIT_S)
            logging.shutdown()
            os._exit(0)


async def _watch(owner_pid: int | None, stop: asyncio.Event) -> None:
    """Stop when the owner has died without stopping us: its children are orphans then."""
    while owner_pid is not None:
        try:
            await asyncio.wait_for(stop.wait(), _OWNER_POLL_S)
            return
        except TimeoutError:
            if not psutil.pid_exists(owner_pid):
                stop.set()


def _open_engine(data_dir: Path, limits: EngineLimits, space: WaitingSpace) -> Engine:
    # The engine reads paths from a URL-like string; relative names keep odd characters out of it.
    os.chdir(data_dir)
    write_config(data_dir, limits)
    settle_default_database(data_dir / "store")
    for part in set_aside_unfinished_parts(data_dir):
        log.warning("%s was not written to its end: set aside", part.relative_to(data_dir))
    if forgotten := forget_tokens_without_rows(data_dir / "store"):
        log.warning("%d inserts were cut short and may be repeated", forgotten)
    settle_last_good(data_dir)
    for prefix in (SPOOL_PREFIX, RESULT_PREFIX, FILES_PREFIX):
        for left_over in data_dir.glob(f"{prefix}*"):
            left_over.unlink()  # of requests that a crash cut short
    budget = MemoryBudget(max(_LEAST_MEMORY_BYTES, limits.memory_bytes // 4))
    try:
        return Engine(Path("store"), Path(CONFIG_FILE), LANES, budget, space)
    except RuntimeError as exc:
        raise StackError(f"the engine cannot open {data_dir}: {exc}") from exc


def _announce(url: str, ready_file: Path | None) -> None:
    ready = json.dumps({"url": url, "pid": os.getpid()})
    print(ready, flush=True)
    if ready_file is not None:
        partial = ready_file.with_name(ready_file.name + ".partial")
        partial.write_text(ready + "\n", encoding="utf-8")
        partial.replace(ready_file)


def _retract(ready_file: Path | None) -> None:
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
