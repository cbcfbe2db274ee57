"""docs/first-ten-minutes.md, line by line, as its reader runs it, and the lines of README.md.

Two things differ: the provider is one on this machine, and the stack takes free ports, so the
programs are given the broker's address. `make up` is run as what it runs.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.examples.upstream import provider
from tests.places import ROOT
from tests.sampling import in_thorough
from tokentide_jobs.embedded.processes.ports import choose_port
from tokentide_jobs.embedded.stack.discovery import find_stack

pytestmark = pytest.mark.integration

PAGE = (ROOT / "docs" / "first-ten-minutes.md").read_text(encoding="utf-8")
EXPORTED = {"TOKENTIDE_SERVICE": "first-service"}
"""Set by the page before the check, in the terminal where everything else is typed."""
Run = Callable[[str], subprocess.CompletedProcess[str]]


def blocks(language: str, page: str = PAGE) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


UP, PREPARE, RUN_SERVICE, RUN_BY_HAND, ROW, FEEDBACK, EXPLAIN, VERIFY = blocks("sh")
SERVICE, BY_HAND = blocks("python")
ROW_SHOWN, EXPLAIN_SHOWN = blocks("text")
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKE, PIP, ASK, CLICKHOUSE = blocks("sh", README)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a folder with `.venv`, and the pipeline running as the page starts it.

    Its umask hides nothing, and it finds what an earlier version left, or a copy that forgot modes.
    """
    folder = tmp_path_factory.mktemp("checkout")
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "service.py").write_text(SERVICE, encoding="utf-8")
    (folder / "by_hand.py").write_text(BY_HAND, encoding="utf-8")
    assert UP == "make up\n"
    made = re.search(r"^up:.*\n\t\$\(BIN\)/(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert made is not None
    command = [*made[1].split(), "--kafka-port", "0", "--clickhouse-port", "0"]
    assert command[:2] == ["tokentide", "up"]
    for name in ("kafka/log", "logs", "workers"):
        (folder / ".tokentide" / name).mkdir(parents=True)
    for name in ("stack.lock", "logs/kafka.log", "logs/clickhouse.log", "kafka/old.properties"):
        (folder / ".tokentide" / name).touch(mode=0o644)
    assert len(open_to_others(folder / ".tokentide")) == 9
    up = subprocess.Popen([folder / ".venv/bin/tokentide", *command[1:]], cwd=folder, umask=0)
    try:
        give_up_at = time.monotonic() + 240
        while find_stack(folder / ".tokentide") is None:
            assert up.poll() is None
            assert time.monotonic() < give_up_at, "not ready within 240 s"
            time.sleep(0.1)
        yield folder
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(60)
    assert open_to_others(folder / ".tokentide") == []


def open_to_others(data_dir: Path) -> list[str]:
    """Return what others may read, write or enter, the directory itself included."""
    found = []
    for path in (data_dir, *data_dir.rglob("*")):
        mode = path.lstat().st_mode
        if mode & 0o077 and not stat.S_ISLNK(mode):
            found.append(f"{stat.filemode(mode)} {path.relative_to(data_dir)}")
    return found


@pytest.fixture(scope="module")
def run(checkout: Path) -> Iterator[Run]:
    """Run lines of the page in the second terminal."""
    stack = find_stack(checkout / ".tokentide")
    assert stack is not None
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TOKENTIDE_")}
    with provider() as upstream:

        def run(lines: str) -> subprocess.CompletedProcess[str]:
            given = {"OPENAI_BASE_URL": f"{upstream}/v1", **EXPORTED}
            if "python " in lines:
                given["TOKENTIDE_KAFKA_BOOTSTRAP"] = stack.kafka
            return subprocess.run(
                ["bash", "-euc", f". .venv/bin/activate\n{lines}"],
                cwd=checkout, env={**kept, **given}, capture_output=True, text=True, timeout=120,
                check=False,
            )  # fmt: skip

        yield run


def until(run: Run, lines: str, found: str) -> str:
    give_up_at = time.monotonic() + 120
    while True:
        done = run(lines)
        assert done.returncode == 0, done.stderr
        if found in done.stdout:
            return done.stdout
        assert time.monotonic() < give_up_at, f"{found!r} is not in {done.stdout!r}"
        time.sleep(1)  # each question is another Python


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_the_pip_line_and_the_check_work_in_the_same_environment(run: Run, checkout: Path) -> None:
    done = run(PREPARE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "A service sends there once it has what the note says." in done.stdout
    assert "FAIL" not in done.stdout
    assert "service first-service" in done.stdout
    exported = PREPARE.index("export TOKENTIDE_SERVICE=first-service\n")
    assert exported < PREPARE.index("tokentide check-producer")
    # The stack of this test does not listen where a service looks.
    stack = find_stack(checkout / ".tokentide")
    assert stack is not None
    assert f"export TOKENTIDE_KAFKA_BOOTSTRAP={stack.kafka}\n" in done.stdout


@pytest.mark.parametrize("lines", [RUN_SERVICE, RUN_BY_HAND], ids=["service", "by_hand"])
def test_a_call_becomes_a_row_with_the_price_that_explain_gives(run: Run, lines: str) -> None:
    made = run(lines)
    assert made.returncode == 0, made.stderr
    event_id = made.stdout.split()[-1]
    tell = re.sub(r"explain \S+", f"explain {event_id}", EXPLAIN)
    assert tell != EXPLAIN

    shown = until(run, FEEDBACK, event_id)
    assert [line for line in words(shown) if line[-1] == event_id] == [["thumb", "up", event_id]]
    head, row = words(ROW_SHOWN)
    rows = words(until(run, ROW, "exact"))
    assert rows[0] == head
    assert row in rows[1:]
    ended = run(tell)
    assert ended.returncode == 0, ended.stderr
    for line in EXPLAIN_SHOWN.splitlines():
        assert line in ended.stdout


def test_everything_of_a_running_stack_is_its_owners(checkout: Path) -> None:
    data_dir = checkout / ".tokentide"
    give_up_at = time.monotonic() + 60
    while not list((data_dir / "workers").glob("*.json")):
        assert time.monotonic() < give_up_at, "no worker announced itself"
        time.sleep(0.05)
    assert open_to_others(data_dir) == []
    names = {path.name for path in data_dir.iterdir()}
    assert names >= {"kafka", "clickhouse", "logs", "workers", "stack.json", "stack.lock"}


def test_the_proof_holds(run: Run) -> None:
    done = run(VERIFY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 lost, 0 duplicated" in done.stdout


def test_the_questions_of_the_readme_are_answered(run: Run) -> None:
    done = run(ASK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "calls_without_cost" in done.stdout
    assert "0 lost, 0 duplicated" in done.stdout


def test_the_clickhouse_of_the_readme_answers_curl(tmp_path: Path) -> None:
    install, serve, ask = CLICKHOUSE.splitlines()
    assert install.startswith("pip install '.[embedded,pipeline]' ")
    port = str(choose_port(0, "http"))
    line = serve.replace("8123", port)
    assert line != serve
    server = subprocess.Popen(
        [sys.executable, *shlex.split(line)[1:]], cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    try:
        give_up_at = time.monotonic() + 120
        question = ask.replace("curl ", "curl --silent --fail ").replace("8123", port)
        while True:
            done = subprocess.run(
                ["bash", "-euc", question], cwd=tmp_path, capture_output=True, text=True,
                timeout=60, check=False,
            )  # fmt: skip
            if done.returncode == 0:
                break
            assert server.poll() is None
            assert time.monotonic() < give_up_at, done.stderr
            time.sleep(0.2)
        assert re.match(r"\d+\.\d+", done.stdout), done.stdout
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


@in_thorough  # the environment of the tests has the same packages
def test_the_pip_line_of_the_readme_makes_an_environment_with_the_sdk_alone(tmp_path: Path) -> None:
    lines = f"python -m venv venv\n. venv/bin/activate\ncd {shlex.quote(str(ROOT))}\n{PIP}"
    made = subprocess.run(
        ["bash", "-euc", f"{lines}\ntokentide check-producer --help\npip list --format freeze"],
        cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    installed = {line.partition("==")[0].lower() for line in made.stdout.splitlines()}
    assert {"tokentide", "aiokafka", "orjson", "cramjam"} <= installed
    assert not installed & {"pydantic", "chdb-core", "faust-streaming", "polars"}
