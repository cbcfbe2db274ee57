"""The command as a whole: help, errors in one line, exit codes, nothing heavy imported."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import click
import pytest
from aiokafka.errors import KafkaConnectionError

from tests.each import each
from tests.places import ROOT
from tokentide_jobs import errors
from tokentide_jobs.cli import exit_codes
from tokentide_jobs.cli.exit_codes import EXIT_CHECK_FAILED, EXIT_CODES
from tokentide_jobs.cli.main import exit_code_of, main, message_of
from tokentide_jobs.cli.reference import SECTIONS, Section
from tokentide_jobs.cli.root import COMMANDS, LazyCommand, cli
from tokentide_jobs.replay.send import send

DOCS = ROOT / "docs" / "cli.md"


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("TOKENTIDE_", "_TOKENTIDE_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def run_python(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, **environ}, timeout=60,
    )  # fmt: skip


@each(
    ("error", "code"),
    [
        (errors.ConfigError("x"), 2),
        (errors.ServiceUnreachable("x"), 3),
        (errors.RetriableSinkError("x"), 3),
        (errors.StackError("x"), 3),
        (errors.InvariantViolation("x"), 4),
        (errors.PipelineError("x"), 4),
        (ConnectionRefusedError("x"), 3),
        (TimeoutError("x"), 3),
        (FileNotFoundError(2, "No such file", "a.csv"), 2),
        (ModuleNotFoundError("No module named 'chdb'", name="chdb"), 2),
        (ModuleNotFoundError("x", name="tokentide_jobs.nothing"), 4),
        (ValueError("x"), 4),
    ],
)
def test_every_kind_of_error_has_its_exit_code(error: Exception, code: int) -> None:
    assert exit_code_of(error) == code


def test_what_is_wrong_with_the_data_is_no_error_of_usage() -> None:
    assert exit_code_of(errors.WrongData("a batch lacks raw rows")) == EXIT_CHECK_FAILED


def test_every_exit_code_is_documented_once() -> None:
    codes = [getattr(exit_codes, name) for name in dir(exit_codes) if name.startswith("EXIT_")]
    assert sorted(code for code in codes if isinstance(code, int)) == [
        documented.code for documented in EXIT_CODES
    ]


def test_errors_of_kafka_clients_count_as_unreachable() -> None:
    assert exit_code_of(KafkaConnectionError("x")) == 3


def test_messages_are_short_and_name_the_remedy() -> None:
    assert message_of(errors.ConfigError("two\n  lines")) == "two\nlines"
    assert message_of(ValueError("two\n  lines")) == "ValueError: two lines"
    assert message_of(FileNotFoundError(2, "No such file", "a.csv")) == "a.csv: No such file"
    absent = message_of(ValueError("code: 60 … typo (UNKNOWN_TABLE)"))
    assert "no such table or database: code: 60 … typo" in absent
    assert "`tokentide migrate` makes it" in absent
    assert "not there yet" not in absent, "it may be there, and damaged"
    missing = message_of(ModuleNotFoundError("No module named 'chdb'", name="chdb.session"))
    assert "-m pip install -e '.[pipeline,embedded]'` in the checkout" in missing
    assert "'.[pipeline]'" in message_of(ModuleNotFoundError("x", name="polars"))
    grafana = message_of(ModuleNotFoundError("x", name="grafana_api"))
    assert Path(sys.executable).name in grafana
    assert "'.[pipeline,grafana]'` in the checkout (once a release is on PyPI" in grafana


def test_usage_errors_exit_with_2_and_point_to_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nonsense"]) == 2
    assert main(["verify", "--nonsense"]) == 2
    printed = capsys.readouterr().err
    assert "No such command 'nonsense'" in printed
    assert "Try `tokentide verify --help`." in printed


@pytest.mark.parametrize("arguments", [[], ["dlq"], ["prices"], ["worker"]], ids=str)
def test_a_group_without_a_command_answers_with_its_help(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.startswith("Usage: tokentide")
    assert "Commands:" in printed.out
    assert main([*arguments, "--help"]) == 0
    assert capsys.readouterr().out == printed.out


def test_nothing_to_stop_is_no_error_and_says_so_to_scripts_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["down", "--json"]) == 0
    printed = capsys.readouterr()
    assert "no stack runs in .tokentide" in printed.err
    answer = json.loads(printed.out)
    assert (answer["stopped"], answer["pid"]) == (False, None)


def test_a_replay_without_a_broker_names_the_address_at_once_and_ends_with_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tokentide_jobs.cli.replay.send", partial(send, timeout_s=0.5, notice_s=0.1)
    )
    monkeypatch.setenv("TOKENTIDE_KAFKA_BOOTSTRAP", "127.0.0.1:9")
    assert main(["replay", "azure", "--limit", "5", "--quiet"]) == 3
    printed = capsys.readouterr().err
    assert "Kafka at 127.0.0.1:9 takes no events" in printed
    assert "still trying" in printed
    assert re.search(r"gave up after \d s, 0 of", printed)


def test_the_check_of_a_producer_answers_scripts_in_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check-producer", "--bootstrap", "127.0.0.1:9", "--timeout", "2", "--json"]) == 3
    answer = json.loads(capsys.readouterr().out)
    assert (answer["ok"], answer["exit_code"]) == (False, 3)
    assert [(step["step"], step["ok"]) for step in answer["steps"]] == [
        ("settings", True), ("names", True), ("TCP", False),
    ]  # fmt: skip
    assert "firewall" in answer["steps"][-1]["remedy"]


def test_the_check_of_a_producer_finds_the_stack_of_the_directory_that_a_variable_names(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stack = {"pid": os.getpid(), "kafka": "127.0.0.1:9", "events_topic": "t", "user": "default"}
    stack |= {"clickhouse_url": "http://127.0.0.1:9", "password": ""}
    (tmp_path / "stack.json").write_text(json.dumps(stack))
    monkeypatch.setenv("TOKENTIDE_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("TOKENTIDE_KAFKA_BOOTSTRAP", raising=False)
    assert main(["check-producer", "--timeout", "2"]) == 3
    assert "plaintext to 127.0.0.1:9 " in capsys.readouterr().out


def test_a_query_that_is_not_utf8_is_refused_with_the_way_to_write_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["sql", "SELECT '\udcff'"]) == 2
    printed = capsys.readouterr().err
    assert "QUERY has bytes that are not UTF-8 (at 8): write them as unhex('FF')" in printed


def test_nothing_to_talk_to_is_said_at_once_with_the_ways_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for command in (["verify"], ["top", "--once"], ["replay"], ["dlq", "list"]):
        assert main(command) == 3
        printed = capsys.readouterr().err
        assert printed.count("\n") == 1
        assert "no stack is running in .tokentide" in printed
        assert "`tokentide up`" in printed
        assert "TOKENTIDE_" in printed


def test_an_address_without_an_answer_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENTIDE_CLICKHOUSE_URL", "http://user:secret@127.0.0.1:9")
    assert main(["top", "--once"]) == 3
    printed = capsys.readouterr().err
    assert "127.0.0.1" in printed
    assert "secret" not in printed


@pytest.mark.integration
@pytest.mark.parametrize(
    "arguments",
    [
        ["verify"], ["top", "--once"], ["sql", "SELECT 1"], ["dlq", "list"], ["migrate"],
        ["explain", "00000000-0000-0000-0000-000000000000"],
        ["reprice", "--from", "1h", "--to", "1m"],
    ],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_a_lost_connection_is_one_plain_line(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tokentide_jobs", *arguments], capture_output=True, text=True,
        check=False, timeout=60,
        env={**os.environ, "TOKENTIDE_CLICKHOUSE_URL": "http://user:secret@127.0.0.1:9",
             "TOKENTIDE_KAFKA_BOOTSTRAP": "127.0.0.1:9"},
    )  # fmt: skip
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert re.match(r"tokentide: (Kafka|ClickHouse) does not answer at .*127\.0\.0\.1:9", line)
    assert "secret" not in line
    assert not re.search("HTTPConnectionPool|Errno|Exception", line)


@pytest.mark.integration
def test_an_unknown_variable_is_a_line_of_the_program_itself() -> None:
    done = run_python(
        "import sys; sys.argv = ['tokentide', 'config']; "
        "from tokentide_jobs.cli.main import run; run()",
        TOKENTIDE_BATCH_ROW="5",
    )
    assert done.stderr == (
        "tokentide: TOKENTIDE_BATCH_ROW is no setting and does nothing; "
        "TOKENTIDE_BATCH_ROWS was meant?\n"
    )
    assert re.search(r"TOKENTIDE_BATCH_ROWS +50000 events +default", done.stdout)


def test_a_traceback_is_shown_only_with_debug(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify"]) == 3
    assert "Traceback" not in capsys.readouterr().err
    assert main(["--debug", "verify"]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_an_internal_error_is_one_line_and_tells_of_debug(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(COMMANDS, "broken", LazyCommand("nowhere:nothing", "x"))
    assert main(["broken"]) == 4
    printed = capsys.readouterr().err
    assert "--debug" in printed
    assert "Traceback" not in printed


def test_version_and_help_exit_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.match(r"tokentide \d+\.\d+", capsys.readouterr().out)
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    assert all(name in overview for name in COMMANDS)


@pytest.mark.integration
def test_the_overview_imports_nothing_heavy_and_what_runs_no_job_imports_no_polars() -> None:
    code = (
        "import sys; from tokentide_jobs.cli.main import main; main(['--help']); "
        "heavy = ('polars', 'pyarrow', 'aiokafka', 'faust', 'clickhouse_connect', 'chdb', "
        "'pydantic', 'rich', 'genai_prices', 'aiohttp'); "
        "found = [m for m in heavy if m in sys.modules]; "
        "[main([name, '--help']) for name in ('up', 'status', 'verify', 'migrate', 'dlq', 'top')]; "
        "main(['worker', 'ingest', '--help']); "
        "print(found, 'polars' in sys.modules, file=sys.stderr)"
    )
    assert run_python(code).stderr.strip() == "[] False"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_loads_has_help_and_says_what_the_overview_says(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: tokentide {name}")
    assert command.get_short_help_str(100) == COMMANDS[name].summary


def run_bare_sdk(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program where only what the bare installation brings can be imported."""
    site = folder / "site"
    site.mkdir()
    names = ["aiokafka", "async_timeout", "packaging", "typing_extensions", "orjson", "cramjam"]
    for name in (*names, "tokentide", "tokentide_jobs", "tokentide_schemas"):
        found = importlib.util.find_spec(name)
        assert found is not None and found.origin is not None
        source = Path(found.origin)
        source = source.parent if source.name.startswith("__init__.") else source
        (site / source.name).symlink_to(source)
    return subprocess.run(
        [sys.executable, "-S", "-c", "from tokentide_jobs.cli.main import run; run()", *arguments],
        capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "PYTHONPATH": str(site)},
    )  # fmt: skip


@pytest.mark.integration
def test_the_bare_sdk_says_what_to_install(tmp_path: Path) -> None:
    done = run_bare_sdk(tmp_path, "demo")
    assert done.returncode == 2
    assert "pip install -e '.[pipeline]'" in done.stderr


@pytest.mark.integration
def test_the_bare_sdk_has_its_check_under_the_name_that_the_readme_gives(tmp_path: Path) -> None:
    done = run_bare_sdk(tmp_path, "check-producer", "--bootstrap", "127.0.0.1:9", "--timeout", "2")
    assert done.returncode == 3, done.stderr
    assert "settings" in done.stdout
    assert "FAIL  TCP" in done.stdout


@pytest.mark.integration  # click asks bash for its version
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_ask_tokentide(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert f"_TOKENTIDE_COMPLETE={shell}_complete" in capsys.readouterr().out


@pytest.mark.integration
def test_completion_knows_commands_and_options() -> None:
    code = "from tokentide_jobs.cli.main import run; run()"
    words = run_python(
        code, _TOKENTIDE_COMPLETE="bash_complete", COMP_WORDS="tokentide ver", COMP_CWORD="1"
    )
    assert words.stdout.split() == ["plain,verify"]
    options = run_python(
        code, _TOKENTIDE_COMPLETE="bash_complete", COMP_WORDS="tokentide verify --w",
        COMP_CWORD="2",
    )  # fmt: skip
    assert options.stdout.split() == ["plain,--wait"]


def test_config_shows_values_origins_and_no_password(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENTIDE_CLICKHOUSE_URL", "http://me:secret@ch:8123")
    monkeypatch.setenv("TOKENTIDE_BATCH_ROWS", "1234")
    assert main(["config", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["TOKENTIDE_CLICKHOUSE_URL"]["value"] == "http://me:***@ch:8123"
    assert shown["TOKENTIDE_BATCH_ROWS"]["value"] == "1234"
    assert shown["TOKENTIDE_BATCH_ROWS"]["source"] == "TOKENTIDE_BATCH_ROWS"
    assert shown["TOKENTIDE_GROUP"]["source"] == "default"
    for options in ([], ["--all"]):
        assert main(["config", *options]) == 0
        text = capsys.readouterr().out
        assert "secret" not in text
        assert max(map(len, text.splitlines())) <= 100


def test_a_bad_setting_is_named_with_its_value(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENTIDE_BATCH_ROWS", "lots")
    assert main(["config"]) == 2
    assert "TOKENTIDE_BATCH_ROWS is 'lots'" in capsys.readouterr().err


@each("section", SECTIONS, ids=lambda section: section.title)
def test_the_documentation_has_what_the_program_says_word_for_word(section: Section) -> None:
    text = (DOCS.parents[1] / section.page).read_text(encoding="utf-8")
    stale = "run `python -m tokentide_jobs.cli.reference`"
    assert section.written(text) == section.render().strip(), stale


def test_the_documentation_names_every_exit_code() -> None:
    table = DOCS.read_text(encoding="utf-8").partition("## Exit codes")[2].partition("##")[0]
    assert re.findall(r"^\| (\d+) \|", table, re.MULTILINE) == [
        "0",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "130",
        "141",
    ]
