"""The producer inside hosts that fork it, freeze its thread or replace Python's threads.

Real servers and real gevent, each in processes of their own; what they emit goes to a file.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.producers.sdk_script import Script
from tokentide_jobs.embedded.kafka.choice import choose_broker
from tokentide_jobs.embedded.processes.ports import choose_port
from tokentide_jobs.io.kafka.admin import ensure_topics
from tokentide_jobs.io.kafka.offsets import end_offsets
from tokentide_schemas.topics import EVENTS

pytestmark = pytest.mark.integration

REQUESTS = 60

APP = """
import os, tokentide

class FileSender:
    def __init__(self):
        self.fd = os.open(os.environ["OUT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    async def connect(self): pass
    async def send(self, frames):
        os.write(self.fd, b"".join(frame.payload + b"\\n" for frame in frames))
    async def close(self): pass

telemetry = tokentide.Telemetry(sender=FileSender(), exit_timeout_s=60)
for n in range(100):  # at import: in the process that will fork
    telemetry.emit({"type": "request", "tenant": "loaded", "n": n})

def application(environ, start_response):
    with telemetry.request(tenant="served", n=int(environ["QUERY_STRING"])):
        start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


class Server:
    """A web server with the application above, and what its processes have sent."""

    def __init__(self, directory: Path, command: list[str], port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/"
        self.out = directory / "events.ndjson"
        self.log = directory / "server.log"
        (directory / "app.py").write_text(APP)
        environ = {**os.environ, "OUT": str(self.out)}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=directory, env=environ, stderr=log)

    def ask(self, number: int) -> int:
        """Send one request, once the server is up; return the process that served it."""
        deadline_s = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}?{number}", timeout=120) as reply:
                    return int(reply.read())
            except (urllib.error.URLError, ConnectionError):
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline_s, self.log.read_text()
                time.sleep(0.05)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(180) == 0, self.log.read_text()

    def events(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.out.read_bytes().splitlines()]


@contextmanager
def serving(directory: Path, *command: str, port: int) -> Iterator[Server]:
    server = Server(directory, list(command), port)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def check_all_arrived(server: Server, loaded: int = 100) -> None:
    server.ask(0)  # it is up
    requests = REQUESTS
    with ThreadPoolExecutor(8) as pool:
        served_by = set(pool.map(server.ask, range(1, REQUESTS)))
    while len(served_by) < 2 and requests < 20 * REQUESTS:  # one of the workers was asked nothing
        served_by.add(server.ask(requests))
        requests += 1
    server.stop()
    events = server.events()
    by_tenant: dict[str, list[int]] = {"loaded": [], "served": []}
    pids: dict[str, set[int]] = {"loaded": set(), "served": set()}
    for event in events:
        if event["type"] == "request":
            by_tenant[event["tenant"]].append(event["n"])
            pids[event["tenant"]].add(event["pid"])
    assert sorted(by_tenant["served"]) == list(range(requests)), "each exactly once"
    assert by_tenant["loaded"] == list(range(loaded)), "and the parent's by the parent alone"
    assert served_by <= pids["served"]
    assert not pids["served"] & pids["loaded"]
    last_words = Counter(event["pid"] for event in events if event["type"] == "stats")
    assert set(last_words) >= pids["served"], "every worker closed its books at its end"


@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])
def test_gunicorn_with_a_preloaded_application_loses_nothing(tmp_path: Path, worker: str) -> None:
    port = choose_port(0, "--bind")
    command = [sys.executable, "-W", "ignore", "-m", "gunicorn", "--preload", "--workers", "2"]
    options = ["--worker-class", worker, "--bind", f"127.0.0.1:{port}", "app:application"]
    # It kills workers after that; a gevent worker that was asked nothing waits for it.
    options += ["--graceful-timeout", "60"]
    with serving(tmp_path, *command, *options, port=port) as server:
        check_all_arrived(server)


def test_uwsgi_which_skips_the_fork_hooks_and_the_lock_loses_no_request(tmp_path: Path) -> None:
    port = choose_port(0, "--bind")
    binary = Path(sys.executable).with_name("uwsgi")
    virtualenv = Path(sys.executable).parent.parent
    options = [
        "--http-socket", f"127.0.0.1:{port}", "--master", "--processes", "2", "--enable-threads",
        "--die-on-term", "--wsgi-file", "app.py", "--virtualenv", str(virtualenv),
    ]  # fmt: skip
    with serving(tmp_path, str(binary), *options, port=port) as server:
        # uwsgi forks without the interpreter lock: with our thread running, workers would hang.
        check_all_arrived(server, loaded=0)
    assert "emit them in a postfork hook" in server.log.read_text()


# -- gevent --------------------------------------------------------------------------------------

GEVENT = """
from gevent import monkey
monkey.patch_all()
import asyncio, gevent, os, sys, threading, time, tokentide

class FileSender:
    def __init__(self):
        self.fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    async def connect(self): pass
    async def send(self, frames):
        os.write(self.fd, b"".join(frame.payload + b"\\n" for frame in frames))
    async def close(self): pass

def emit(who, count=100):
    for n in range(count):
        telemetry.emit({"type": "request", "tenant": who, "n": n})

# Time enough at the exit to start the thread and import what it needs, on any machine.
telemetry = tokentide.Telemetry(sender=FileSender(), linger_ms=1, exit_timeout_s=60)
"""


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


def test_greenlets_emit_and_the_rest_leaves_at_exit(script: Script) -> None:
    script.run(
        """
        def work(n):
            for part in range(10):
                emit(f"green-{n}-{part}")
                gevent.sleep(0)
        gevent.joinall([gevent.spawn(work, n) for n in range(8)])
        """,
        prelude=GEVENT,
    )
    assert script.numbers_by_tenant() == {
        f"green-{n}-{part}": list(range(100)) for n in range(8) for part in range(10)
    }


def test_where_there_is_no_epoll_another_selector_serves_the_background(script: Script) -> None:
    script.run("emit('green')", prelude="import select\ndel select.epoll\n" + GEVENT)
    assert script.numbers_by_tenant() == {"green": list(range(100))}


def test_a_hub_that_never_yields_keeps_nothing_from_being_sent(script: Script) -> None:
    script.run(
        """
        emit("busy")
        started_s = time.monotonic()
        while telemetry.stats().delivered < 100:  # no greenlet but this one can run
            assert time.monotonic() < started_s + 120
        """,
        prelude=GEVENT,
    )
    assert script.numbers_by_tenant() == {"busy": list(range(100))}


def test_the_hub_itself_may_emit_where_nothing_may_wait(script: Script) -> None:
    script.run(
        """
        failures = []
        gevent.get_hub().handle_error = lambda *error: failures.append(error)
        gevent.get_hub().loop.run_callback(emit, "hub")
        gevent.sleep(0.01)
        assert not failures, failures
        assert telemetry.flush(60)
        """,
        prelude=GEVENT,
    )
    assert script.numbers_by_tenant() == {"hub": list(range(100))}


def test_the_host_can_run_event_loops_of_its_own_beside_greenlets(script: Script) -> None:
    script.run(
        """
        async def main(n):
            await asyncio.sleep(0.01)
            with telemetry.request(tenant="loop", n=n):
                await asyncio.sleep(0)
        for n in range(10):
            asyncio.run(main(n))
            gevent.sleep(0.01)
        """,
        prelude=GEVENT,
    )
    assert script.numbers_by_tenant() == {"loop": list(range(10))}


def test_under_gevent_a_dead_broker_delays_the_exit_by_its_deadline_only(script: Script) -> None:
    started_s = time.monotonic()
    stderr = script.run(
        """
        telemetry = tokentide.Telemetry(bootstrap="127.0.0.1:1", exit_timeout_s=0.5)
        emit("away", 1000)
        while not telemetry.stats().retries:
            gevent.sleep(0.01)
        """,
        prelude=GEVENT,
    )
    assert "1000 of 1000 events not delivered" in stderr
    assert time.monotonic() - started_s < 60


def test_a_child_forked_from_a_greenlet_host_sends_its_own(script: Script) -> None:
    script.run(
        """
        emit("parent")
        pid = os.fork()
        if pid == 0:
            emit("child")
            assert telemetry.flush(60)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """,
        prelude=GEVENT,
    )
    assert script.numbers_by_tenant() == {"parent": list(range(100)), "child": list(range(100))}


def test_events_reach_a_real_broker_from_a_greenlet_host(script: Script, tmp_path: Path) -> None:
    broker = choose_broker("tansu", tmp_path / "broker")
    broker.start()
    try:
        asyncio.run(ensure_topics(broker.bootstrap))
        script.run(
            f"""
            telemetry = tokentide.Telemetry(bootstrap="{broker.bootstrap}", exit_timeout_s=60)
            emit("real", 5000)
            assert telemetry.flush(60), telemetry.stats()
            assert telemetry.stats().delivered == 5000
            """,
            prelude=GEVENT,
        )
        ends = asyncio.run(end_offsets(broker.bootstrap, EVENTS.name))
        assert sum(ends.values()) > 0
    finally:
        broker.stop()
