"""An error about a setting leads to the place that the value came from."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from tokentide_jobs.cli.main import main
from tokentide_jobs.embedded.clickhouse.access.password import settle_password
from tokentide_jobs.errors import PipelineError
from tokentide_jobs.io.clickhouse.error_codes import LOGIN_REFUSED, translate
from tokentide_jobs.io.kafka.clients import unreadable_topic
from tokentide_jobs.settings import Settings
from tokentide_jobs.settings.origins import forget_origins, note_origins, origin_of
from tokentide_jobs.settings.stack_file import CLICKHOUSE_DIRECTORY, password_file_of

Output = pytest.CaptureFixture[str]
DEAD = "127.0.0.1:9"


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("TOKENTIDE_", "_TOKENTIDE_")):
            monkeypatch.delenv(name)
    forget_origins()


@pytest.fixture
def stack_dir(tmp_path: Path) -> Path:
    """Return a data directory whose stack runs, by its file, and whose services are dead."""
    state = {
        "pid": os.getpid(), "kafka": DEAD, "clickhouse_url": f"http://{DEAD}", "user": "default",
        "password": "secret", "events_topic": "tokentide.events.v1", "workers": 0,
    }  # fmt: skip
    (tmp_path / "stack.json").write_text(json.dumps(state))
    return tmp_path


COMMANDS = (
    ["status"], ["verify"], ["top", "--once"], ["sql", "SELECT 1"], ["dlq", "list"], ["migrate"],
    ["topics"], ["alerts", "list"], ["repair", "--dry-run"],
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command[0]))
def test_addresses_of_a_stack_are_blamed_on_its_file(
    command: list[str], stack_dir: Path, capsys: Output
) -> None:
    assert main([*command, "--data-dir", str(stack_dir)]) == 3
    printed = "".join(capsys.readouterr()).replace("\n", "")
    assert f"({stack_dir / 'stack.json'})" in printed
    assert "TOKENTIDE_KAFKA_BOOTSTRAP" not in printed
    assert "TOKENTIDE_CLICKHOUSE_URL" not in printed
    assert origin_of("kafka_bootstrap") == "TOKENTIDE_KAFKA_BOOTSTRAP", "a command forgets it"


def test_addresses_of_the_environment_are_blamed_on_their_variables(
    stack_dir: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENTIDE_KAFKA_BOOTSTRAP", DEAD)
    assert main(["status", "--data-dir", str(stack_dir)]) == 3
    printed = capsys.readouterr().out
    assert f"{DEAD} (TOKENTIDE_KAFKA_BOOTSTRAP)" in printed
    assert f"({stack_dir / 'stack.json'})" in printed, "ClickHouse is still the stack's"


def test_every_source_has_its_name(stack_dir: Path) -> None:
    environ = {"TOKENTIDE_GROUP": "g", "_TOKENTIDE_STACK_FILE": "/s/stack.json"}
    given = {**environ, "TOKENTIDE_CLICKHOUSE_URL": "http://127.0.0.1:1"}
    note_origins(Settings.from_env(given, stack_dir, detect_file=Path("d.yaml")))
    assert origin_of("group") == "TOKENTIDE_GROUP"
    assert origin_of("detect_file") == "--detect-file"
    assert origin_of("database") == "the default of TOKENTIDE_DATABASE"
    assert origin_of("kafka_bootstrap") == str(stack_dir / "stack.json")
    assert origin_of("clickhouse_url") == "/s/stack.json", "what a stack gives its workers"


def refused(code: int) -> str:
    exc = DatabaseError("DB::Exception: default: Authentication failed")
    exc.code = code
    found = translate(exc, "connect", "http://127.0.0.1:1")
    assert isinstance(found, PipelineError)
    return str(found)


@pytest.mark.parametrize("code", sorted(LOGIN_REFUSED))
def test_a_refused_password_leads_to_where_it_is(code: int, tmp_path: Path) -> None:
    assert "correct user and password in TOKENTIDE_CLICKHOUSE_URL" in refused(code)
    file = tmp_path / "password"
    file.write_text("p")
    environ = {
        "TOKENTIDE_CLICKHOUSE_URL": "http://me@127.0.0.1:1",
        "TOKENTIDE_CLICKHOUSE_PASSWORD_FILE": str(file),
    }
    note_origins(Settings.from_env(environ, tmp_path))
    assert f"correct the password in {file} (TOKENTIDE_CLICKHOUSE_PASSWORD_FILE)" in refused(code)
    forget_origins()


def test_a_refused_password_of_a_stack_leads_to_its_files(stack_dir: Path) -> None:
    note_origins(Settings.from_env({}, stack_dir))
    printed = refused(516)
    assert str(stack_dir / "clickhouse" / "password") in printed
    assert "TOKENTIDE_" not in printed
    forget_origins()


def test_a_topic_is_blamed_on_the_setting_that_names_it() -> None:
    def printed(topic: str) -> str:
        return str(unreadable_topic(DEAD, topic, 3))

    assert "mine (TOKENTIDE_EVENTS_TOPIC) cannot" in printed("mine")
    assert "tokentide.otlp.v1 (TOKENTIDE_OTLP_TOPIC) cannot" in printed("tokentide.otlp.v1")
    assert "tokentide.control.v1 cannot" in printed("tokentide.control.v1")


def test_the_file_that_is_named_is_the_one_that_clickhouse_makes(tmp_path: Path) -> None:
    home = tmp_path / CLICKHOUSE_DIRECTORY
    home.mkdir()
    made = settle_password(home)
    assert password_file_of(tmp_path).read_text("utf-8").strip() == made
