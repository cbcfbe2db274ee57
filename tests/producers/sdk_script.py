"""Scripts that use the producer, each in a fresh interpreter that sends to a file."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections import defaultdict
from pathlib import Path

import orjson

PRELUDE = """
import multiprocessing, os, sys, threading, time
import tokentide
from tokentide.engine import importing_threads
from tokentide.telemetry import producer_of

class FileSender:
    "Appends frames to the file named by the first argument, whole lines at a time."
    def __init__(self):
        self.fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    async def connect(self): pass
    async def send(self, frames):
        os.write(self.fd, b"".join(frame.payload + b"\\n" for frame in frames))
    async def close(self): pass

def emit(who, count=100):
    for n in range(count):
        telemetry.emit({"type": "request", "tenant": who, "n": n})

def wait(pid):
    assert os.waitpid(pid, 0)[1] == 0

telemetry = tokentide.Telemetry(sender=FileSender(), exit_timeout_s=60)
"""


class Script:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.out = directory / "events.ndjson"

    def run(
        self,
        body: str,
        prelude: str = PRELUDE,
        exit_code: int = 0,
        spool_dir: Path | None = None,
    ) -> str:
        """Run a script and return what it wrote to stderr."""
        environment = {} if spool_dir is None else {"TOKENTIDE_SPOOL_DIR": str(spool_dir)}
        path = self.directory / "script.py"
        path.write_text(prelude + textwrap.dedent(body))
        # Python warns of a fork beside a running thread, which is what many of these are about.
        command = [sys.executable, "-W", "ignore::DeprecationWarning", str(path), str(self.out)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
            env={**os.environ, **environment},
        )
        assert done.returncode == exit_code, (done.returncode, done.stderr)
        return done.stderr

    def numbers_by_tenant(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for line in self.out.read_bytes().splitlines() if self.out.exists() else []:
            event = orjson.loads(line)
            if event["type"] == "request":
                found[event["tenant"]].append(event["n"])
        return dict(found)
