"""Every command ends alike where its output is not read to the end: `tokentide … | head`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.databases import migrated
from tests.each import each
from tokentide.__main__ import run as run_sdk
from tokentide_jobs.cli.main import main, run
from tokentide_jobs.cli.reader import forget_output
from tokentide_jobs.cli.root import COMMANDS
from tokentide_jobs.io.clickhouse.client import ClickHouse

READER_GONE = 141


def code_of(arguments: list[str]) -> int:
    """Run a command whose output has no reader; what it leaves in the buffer is tried, too."""
    reading, writing = os.pipe()
    os.close(reading)
    former, sys.stdout = sys.stdout, os.fdopen(writing, "w", buffering=1)
    try:
        code = main(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        code = READER_GONE
    finally:
        forget_output()  # what is left would be written once more
        sys.stdout.close()
        sys.stdout = former
    return code


@each(
    "arguments",
    [
        *([name, "--help"] for name in COMMANDS),
        [], ["--version"], ["dlq"], ["config"], ["config", "--json"], ["completion", "zsh"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_needs_no_service_ends_as_other_programs_do(
    arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert code_of(arguments) == READER_GONE
    assert capfd.readouterr().err == ""


@pytest.fixture(scope="module")
def store(sql_server: str) -> Iterator[ClickHouse]:
    with migrated(sql_server) as made:
        yield made


@pytest.mark.integration
@each(
    "arguments",
    [
        ["sql", "SELECT 1"], ["sql", "SELECT 1", "--format", "CSV"], ["dlq", "list"],
        ["runs"], ["alerts", "list"], ["top", "--once"],
        ["repair", "--dry-run"], ["migrate"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_asks_clickhouse_ends_alike(
    arguments: list[str], store: ClickHouse, sql_server: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("TOKENTIDE_CLICKHOUSE_URL", sql_server)
    monkeypatch.setenv("TOKENTIDE_DATABASE", store.database)
    monkeypatch.setenv("TOKENTIDE_DATA_DIR", str(tmp_path))
    assert code_of(arguments) == READER_GONE
    assert "Traceback" not in capfd.readouterr().err


def test_a_connection_that_broke_is_not_taken_for_a_reader(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_path: object, *_needs: str) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("tokentide_jobs.cli.sql.find_target", broken)
    assert main(["sql", "SELECT 1"]) == 3
    assert "Broken pipe" in capsys.readouterr().err


@pytest.mark.integration
@pytest.mark.parametrize("is_error_read", [True, False])
def test_the_program_leaves_with_that_code_and_without_a_word(is_error_read: bool) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    code = "import sys; from tokentide_jobs.cli.main import run; run()"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, "sql" if not is_error_read else "config"],
            stdout=writing, stderr=subprocess.PIPE if is_error_read else writing,
            text=True, timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert done.returncode == READER_GONE
    assert not done.stderr


@pytest.mark.parametrize("program", [run, run_sdk], ids=["tokentide", "python -m tokentide"])
def test_a_closed_standard_output_is_said_before_anything_is_begun(
    program: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tokentide", "--help"])
    monkeypatch.setattr(sys, "stdout", None)  # as the interpreter starts under `>&-`
    with pytest.raises(SystemExit) as ended:
        program()
    assert ended.value.code == 2
    assert capfd.readouterr().err == (
        "tokentide: standard output is closed; `>/dev/null` leaves it out\n"
    )
