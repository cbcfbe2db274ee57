"""Producers killed at random moments beside a broker that comes and goes, on one spool directory.

What a producer reported as delivered or on the disk arrives, from this producer or a successor;
what arrives more than once has the same event id.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import orjson
import pytest

from tests.chaos.live import wait_until

pytestmark = pytest.mark.integration

LIVES = 16
AT_ONCE = 3

PRODUCER = """
import os, sys, time, tokentide
out, down, said, name = sys.argv[1:5]

class Broker:
    "A file that takes events, unless another file says that the broker is down."
    def __init__(self):
        self.fd = os.open(out, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    async def connect(self):
        if os.path.exists(down):
            raise ConnectionError("down")
    async def send(self, frames):
        await self.connect()
        # A line begins with its newline: one that a kill tears costs no other.
        os.write(self.fd, b"".join(b"\\n" + f.payload for f in frames) + b"\\n")
        await self.connect()  # it took them, and says that it is down
    async def close(self): pass

telemetry = tokentide.Telemetry(sender=Broker(), linger_ms=2, spool_max_bytes=1 << 30)
said = os.open(said, os.O_WRONLY | os.O_CREAT)
n = 0
while True:
    for _ in range(20):
        telemetry.emit({"type": "request", "tenant": name, "n": n, "tags": {"pad": "x" * 200}})
        n += 1
    stats = telemetry.stats()
    assert not stats.dropped_total and not stats.spool_errors, stats
    # Frames are in order, so what was delivered or saved is what was emitted first. What it has
    # taken over from killed ones is subtracted: how much of it is delivered is not known yet.
    safe = stats.delivered + stats.spooled - stats.adopted
    os.pwrite(said, b"%012d" % max(0, safe), 0)
    time.sleep(0.002)
"""

HEIR = """
import os, sys, time
sys.argv[4] = "heir"
exec(open("producer.py").read().split("said = os.open")[0])
telemetry.emit({"type": "request", "tenant": "heir", "n": 0})
deadline = time.monotonic() + 90
while os.listdir(os.environ["TOKENTIDE_SPOOL_DIR"]):
    assert time.monotonic() < deadline, os.listdir(os.environ["TOKENTIDE_SPOOL_DIR"])
    time.sleep(0.01)
telemetry.close(10)
"""


class Field:
    """The directory in which all of it happens."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.out = directory / "events.ndjson"
        self.down = directory / "down"
        self.started = 0
        (directory / "producer.py").write_text(PRODUCER)
        (directory / "heir.py").write_text(HEIR)

    def start(self, script: str = "producer.py") -> tuple[str, subprocess.Popen[bytes]]:
        name = f"life-{self.started:02d}"
        self.started += 1
        acknowledged = self.directory / f"{name}.said"
        command = [sys.executable, script, str(self.out), str(self.down), str(acknowledged), name]
        environ = {**os.environ, "TOKENTIDE_SPOOL_DIR": str(self.directory / "spool")}
        with (self.directory / f"{name}.log").open("wb") as log:
            return name, subprocess.Popen(command, cwd=self.directory, env=environ, stderr=log)

    def acknowledged(self, name: str) -> int:
        """Events that a producer has claimed to be safe."""
        path = self.directory / f"{name}.said"
        text = path.read_bytes() if path.exists() else b""
        return int(text) if len(text) == 12 else 0

    def wait_for_work(self, name: str) -> None:
        """Wait until a producer has claimed something."""
        wait_until(lambda: self.acknowledged(name) > 0, 30, f"{name} to be at work")

    def arrived(self) -> dict[str, dict[int, set[str]]]:
        """Ids of the events that arrived, by producer and number."""
        found: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        for line in self.out.read_bytes().splitlines():
            if line:
                try:
                    event = orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue  # torn by a kill in the middle of a write
                if event["type"] == "request":
                    found[event["tenant"]][event["n"]].add(event["event_id"])
        return found


def test_what_was_reported_as_safe_arrives_whichever_producer_was_killed(tmp_path: Path) -> None:
    field = Field(tmp_path)
    chance = random.Random(11)
    running: list[tuple[str, subprocess.Popen[bytes]]] = []
    names: list[str] = []
    try:
        while len(names) < LIVES:
            while len(running) < AT_ONCE:
                running.append(field.start())
                names.append(running[-1][0])
            if chance.random() < 0.6:
                field.down.touch()
            else:
                field.down.unlink(missing_ok=True)
            time.sleep(chance.uniform(0.0, 0.5))
            name, victim = running.pop(0)
            field.wait_for_work(name)
            time.sleep(chance.uniform(0.0, 0.2))
            assert victim.poll() is None, (tmp_path / f"{name}.log").read_text()
            victim.kill()
            victim.wait()
    finally:
        for _, victim in running:
            victim.kill()
            victim.wait()
    field.down.unlink(missing_ok=True)
    name, heir = field.start("heir.py")
    assert heir.wait(60) == 0, (tmp_path / f"{name}.log").read_text()

    arrived = field.arrived()
    for name in names:
        missing = set(range(field.acknowledged(name))) - set(arrived[name])
        assert not missing, (name, field.acknowledged(name), sorted(missing)[:5])
    ids = [ids for events in arrived.values() for ids in events.values()]
    assert all(len(found) == 1 for found in ids), "what is repeated has the same id"
    assert sum(field.acknowledged(name) for name in names) > 1000
