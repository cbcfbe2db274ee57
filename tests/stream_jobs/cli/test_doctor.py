"""`tokentide doctor` and `tokentide grafana push` for their readers: lines, JSON, codes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from tests.dashboards.live.grafana_server import NOW_MS, TOKEN, GrafanaServer, serving
from tokentide_dashboards.boards.every import BOARDS
from tokentide_jobs.cli.doctor import _judged
from tokentide_jobs.cli.main import main
from tokentide_jobs.core.partition_lag import PartitionLag
from tokentide_jobs.core.status import Problem, Status, WorkerState

WELL = Status(
    free_bytes=1 << 40, schema=(), log_end=7, group_members=1, lags=(), knows_last_batch=True,
    dead_letters={}, failing_receivers=(), dropping=(), workers=(WorkerState("w", True),),
)  # fmt: skip
"""The state of a pipeline of which everything was read."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GrafanaServer]:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    monkeypatch.setattr(time, "time", lambda: NOW_MS / 1_000)
    with serving(GrafanaServer.provisioned()) as running:
        monkeypatch.setenv("TOKENTIDE_GRAFANA_URL", running.url)
        monkeypatch.setenv("TOKENTIDE_GRAFANA_TOKEN_FILE", str(file))
        monkeypatch.setenv("TOKENTIDE_DATA_DIR", str(tmp_path / "none"))
        yield running


def test_every_board_and_rule_of_this_version_is_checked(
    server: GrafanaServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--grafana-only"]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert len(lines) == 9 + len(BOARDS) + 1 + 1
    assert all(line.startswith("✓ ok") for line in lines[:-1]), printed.out
    assert lines[-1] == f"{len(lines) - 1} ok, 0 problem, 0 unknown"
    assert TOKEN not in printed.out + printed.err


def test_what_was_not_looked_at_is_not_ok(
    server: GrafanaServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.denied = ("/v1/provisioning", "/ds/query")
    assert main(["doctor", "--json"]) == 5
    found = json.loads(capsys.readouterr().out)
    states = {check["check"]: check["state"] for check in found["checks"]}
    assert states["pipeline"] == states["rules"] == states["queries of Overview"] == "unknown"
    assert (found["grafana"], found["problem"]) == (server.url, 0)


def test_a_problem_has_its_code_its_remedy_and_no_escape_sequence(
    server: GrafanaServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.source_error = "\x1b[2J at http://u:s3cret@ch:8123"
    assert main(["doctor", "--grafana-only"]) == 1
    printed = capsys.readouterr().out
    assert "✗ problem  data source: tokentide-clickhouse does not work: \\x1b[2J" in printed
    assert "check the address, the account and the password" in printed
    assert "s3cret" not in printed
    assert "\x1b" not in printed
    assert main(["doctor", "--grafana-only", "--json"]) == 1
    assert "s3cret" not in capsys.readouterr().out


def test_a_grafana_that_does_not_answer(
    server: GrafanaServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOKENTIDE_GRAFANA_URL", "http://127.0.0.1:1")
    assert main(["doctor", "--grafana-only"]) == 3
    assert "nothing answers there" in capsys.readouterr().out


def test_a_setting_that_is_missing_is_named(
    server: GrafanaServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TOKENTIDE_GRAFANA_URL")
    assert main(["doctor"]) == 2
    assert "TOKENTIDE_GRAFANA_URL is not set" in capsys.readouterr().err


def test_the_pipeline_is_judged_as_status_judges_it() -> None:
    assert WELL.verdict == "ok"
    assert (_judged(WELL).state, _judged(WELL).words) == ("ok", "nothing is wrong, 0 records wait")
    late = replace(
        WELL, group_members=0, workers=(), lags=(PartitionLag("events", 0, 1, 3, 99_000.0),)
    )
    assert (_judged(late).state, _judged(late).is_unreachable) == ("problem", False)
    assert "no worker reads the topics, and 2 records wait" in _judged(late).words
    away = replace(WELL, kafka_problem="Kafka does not answer", kafka_answers=False)
    assert (_judged(away).state, _judged(away).is_unreachable) == ("problem", True)


def test_what_status_could_not_read_is_unknown() -> None:
    refused = replace(WELL, refused=("dead letters: not allowed",), dead_letters=None)
    assert (_judged(refused).state, _judged(refused).words) == (
        "unknown", "unknown: dead letters: not allowed",
    )  # fmt: skip
    assert [problem.is_unknown for problem in refused.problems] == [True]
    unread = replace(WELL, dead_letters=None)
    assert _judged(unread).words == "could not be read: dead_letters_last_hour"
    assert _judged(unread).state == "unknown"


def test_push_says_what_it_would_do_then_does_it(
    server: GrafanaServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.boards.clear()
    assert main(["grafana", "push", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "make    board Overview: with the uid tokentide-overview" in printed
    assert (
        printed.splitlines()[-1]
        == f"{server.url}: {len(BOARDS)} of {len(BOARDS) + 1} would be saved"
    )
    assert server.boards == {}
    assert main(["grafana", "push", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [step["action"] for step in found["steps"]] == ["keep", *["make"] * len(BOARDS)]
    assert len(server.boards) == len(BOARDS)


def test_push_exits_with_1_when_a_board_cannot_be_saved(
    server: GrafanaServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.boards["tokentide-cost"].board["title"] = "Older"
    assert main(["grafana", "push"]) == 1
    printed = capsys.readouterr().out
    assert "cannot  board Cost and budgets: Grafana has it from a file" in printed
    assert printed.splitlines()[-1].endswith("0 of 10 saved; 1 cannot be saved")


def test_a_problem_is_no_less_one_for_the_words_that_it_begins_with() -> None:
    output = replace(WELL, schema=(Problem("bad", "unknown: a column of windows_1h"),))
    assert _judged(output).state == "problem"


def test_doctor_leads_to_the_file_that_an_address_came_from(
    server: GrafanaServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = {
        "pid": os.getpid(), "kafka": "127.0.0.1:9", "clickhouse_url": "http://127.0.0.1:9",
        "user": "default", "password": "p", "events_topic": "tokentide.events.v1", "workers": 0,
    }  # fmt: skip
    (tmp_path / "stack.json").write_text(json.dumps(state))
    assert main(["doctor", "--data-dir", str(tmp_path)]) == 3
    output = "".join(capsys.readouterr()).replace("\n", "")
    assert f"({tmp_path / 'stack.json'})" in output
    assert "TOKENTIDE_KAFKA_BOOTSTRAP" not in output


def test_push_exits_with_3_when_grafana_goes_away_meanwhile(
    server: GrafanaServer, capsys: pytest.CaptureFixture[str]
) -> None:
    async def gone(_request: web.Request) -> web.Response:
        return web.Response(status=503)

    server.boards.clear()
    server.faults["/dashboards/db"] = gone
    assert main(["grafana", "push"]) == 3
    assert "not tried, for the same reason" in capsys.readouterr().out


def test_push_with_a_wrong_token_changes_nothing(
    server: GrafanaServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text("glsa_wr0ng")
    assert main(["grafana", "push"]) == 2
    printed = capsys.readouterr()
    assert "401, Invalid API key: the token or password is wrong" in printed.err
    assert "glsa_wr0ng" not in printed.out + printed.err
