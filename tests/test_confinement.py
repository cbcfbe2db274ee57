"""What a unit test may not do is found, also when its code swallows the error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import ROOT

pytestmark = pytest.mark.integration

TESTS = """
import contextlib, os, pathlib, socket, subprocess, sys, threading
import pytest

CACHED = "import os; assert os.path.exists(os.environ['XDG_CACHE_HOME'] + '/jar')"

def start():
    subprocess.run([sys.executable, "-c", ""], check=True)

def test_starts_a_process():
    start()

def test_forks():
    os.fork()

def test_swallows_the_error():
    with contextlib.suppress(RuntimeError):
        start()

def test_leaves_the_machine():
    with contextlib.suppress(RuntimeError):
        socket.create_connection(("192.0.2.1", 9), timeout=1)

@pytest.fixture(scope="module")
def server():
    start()

def test_takes_a_fixture_that_starts_one(server):
    pass

def test_stays_here():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()

def test_reads_the_cache():
    assert pathlib.Path(os.environ["XDG_CACHE_HOME"], "jar").exists()

@pytest.mark.integration
def test_may():
    start()
    subprocess.run([sys.executable, "-c", CACHED], check=True)
"""


def test_an_unmarked_test_fails_when_it_starts_a_process_or_leaves_the_machine(
    tmp_path: Path,
) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "jar").touch()
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = integration: starts processes\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.confinement", "-q", "-rA"]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), "-c", str(tmp_path / "pytest.ini"), str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
    )  # fmt: skip
    outcomes: dict[str, set[str]] = {}
    for line in done.stdout.splitlines():
        word, _, rest = line.partition(" ")
        if word in ("PASSED", "FAILED", "ERROR") and "::" in rest:
            outcomes.setdefault(rest.split("::")[1].split(" - ")[0], set()).add(word)
    good = {name for name, words in outcomes.items() if words == {"PASSED"}}
    assert good == {"test_stays_here", "test_may"}, done.stdout
    assert len(outcomes) == 8
    assert "mark the test `integration`" in done.stdout
