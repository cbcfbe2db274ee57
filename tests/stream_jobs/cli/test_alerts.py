"""`tokentide alerts`: what is open and why, what people did, and what receivers answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.databases import migrated
from tests.stream_jobs.core.alert.histories import MODEL, TENANT, dollars_an_hour, finding
from tokentide_jobs.cli.main import main
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.book import AlertBook
from tokentide_jobs.core.alert.finding import Evidence
from tokentide_jobs.core.alert.outbox import Attempt, Message, Outcome, Result
from tokentide_jobs.core.change.cause import Change, likely_causes
from tokentide_jobs.core.failing_receiver import FailingReceiver
from tokentide_jobs.io.clickhouse.alert_store import AlertStore
from tokentide_jobs.io.clickhouse.client import ClickHouse

pytestmark = pytest.mark.integration

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(scope="module")
def store(sql_server: str) -> Iterator[ClickHouse]:
    """Yield a database with a page, a weak ticket and a strong one."""
    now_us = time.time_ns() // 1_000
    deploy = Change(kind="deploy", subject="chat", at_us=now_us, dimensions={"tenant": "acme"})
    page = finding(
        at_us=now_us, dimensions=TENANT, impact=dollars_an_hour(80), sentence="costs \x1b[31mmore",
        causes=likely_causes([deploy], TENANT, now_us),
    )  # fmt: skip
    strong = finding(
        at_us=now_us, dimensions=MODEL, metric="requests", tests=900,
        evidence=Evidence(evidence=40.0, threshold=18.0, value=0.4, unit="of requests"),
    )  # fmt: skip
    weak = replace(strong, metric="latency_p95_ms", evidence=Evidence(evidence=9.5))
    weak = replace(weak, dimensions=(("service", "chat"),))
    with migrated(sql_server) as store:
        book = AlertBook(AlertRules())
        AlertStore(store).append(book.observe([page, strong, weak], now_us, now_us))
        yield store


@pytest.fixture(autouse=True)
def environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sql_server: str, store: ClickHouse
) -> None:
    monkeypatch.setenv("TOKENTIDE_CLICKHOUSE_URL", sql_server)
    monkeypatch.setenv("TOKENTIDE_DATABASE", store.database)
    monkeypatch.setenv("TOKENTIDE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HOOK_SECRET", SECRET)


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["alerts", *arguments]) == code
    found = capsys.readouterr()
    return found.out + found.err


def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(run(capsys, "list", "--json"))["alerts"]
    return found


def test_pages_come_first_then_tickets_and_weak_ones_are_marked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = listed(capsys)
    assert [(one["severity"], one["is_kept"]) for one in found] == [
        ("page", True), ("ticket", True), ("ticket", False),
    ]  # fmt: skip
    text = run(capsys, "list")
    assert "3 open, 0 acknowledged, 0 pending, 0 closed" in text
    assert "perhaps deploy of chat, 0 min before it began" in text
    assert "weak: below the cut of the day" in text
    assert "\x1b[31m" not in text
    assert "\\x1b[31mmore" in text


def test_one_is_shown_in_full_by_the_beginning_of_its_id(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = str(listed(capsys)[0]["alert_id"])
    text = run(capsys, "show", name[:8])
    assert "$80.00 an hour" in text
    assert "docs/alerts.md#error_ratio" in text
    assert json.loads(run(capsys, "show", name, "--json"))["notifications"] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "zz"], "'zz' is no id of an alert"),
        (["show", "0000dead"], "no alert begins with '0000dead'"),
        (["ack", "0000dead", "--reason", " "], "no alert begins"),
        (["silence", "acme", "--for", "2h", "--reason", "x"], "expected FIELD=PATTERN"),
        (["silence", "a=b", "--reason", "x"], "--for is missing"),
        (["silence", "a=b", "--for", "2h"], "--reason is missing"),
        (["silence", "a=b", "--for", "2y", "--reason", "x"], "--for is '2y'"),
        (["silence", "a=b", "--for", "2h", "--reason", "x", "--weekly", "sat"], "belong together"),
        (["silence", "a=b", "--for", "2h", "--reason", "x", "--weekly", "sa", "--at", "1:00"],
         "--weekly is 'sa'"),
        (["silence", "a=b", "--for", "2h", "--reason", "x", "--weekly", "sat", "--at", "25:00"],
         "--at is '25:00'"),
        (["silence", "a=b", "--for", "1h", "--reason", "x", "--weekly", "sat", "--at", "1:00",
          "--zone", "Mars/Base"], "--zone is 'Mars/Base'"),
        (["silence", "--end", "nope"], "0 silences begin with it"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert words in run(capsys, *arguments, code=2)


def test_what_a_person_did_is_shown_at_once_and_is_a_row_that_the_job_reads(
    capsys: pytest.CaptureFixture[str], store: ClickHouse
) -> None:
    name = str(listed(capsys)[0]["alert_id"])
    words = run(capsys, "ack", name[:8], "--reason", "looking", "--author", "dana")
    assert words.startswith("acknowledged by dana: costs")

    def shown() -> tuple[object, ...]:
        (one,) = [one for one in listed(capsys) if one["alert_id"] == name]
        return one["state"], one["author"], one["why"]

    assert shown() == ("acknowledged", "dana", "looking")
    run(capsys, "close", name, "--reason", "done", "--author", "dana", "--json")
    assert shown() == ("closed", "dana", "done")
    assert "is closed already" in run(capsys, "ack", name, "--reason", "again", code=2)
    actions, _ = AlertStore(store).actions(0)
    assert [(one.alert_id, one.verb, one.author, one.reason) for one in actions] == [
        (name, "ack", "dana", "looking"), (name, "close", "dana", "done"),
    ]  # fmt: skip


def test_silences_are_made_listed_and_ended(
    capsys: pytest.CaptureFixture[str], store: ClickHouse
) -> None:
    assert run(capsys, "silence") == "no silences\n"
    run(capsys, "silence", "tenant=acme*", "kind=anomaly", "--for", "2h", "--reason", "load test")
    weekly = ("--weekly", "sat,sun", "--at", "23:00", "--zone", "Europe/Berlin", "--for", "90m")
    silenced = [one for one in listed(capsys) if one["silenced_by"]]
    assert [one["key"] for one in silenced] == ["tenant acme"]
    text = run(capsys, "silence", "model=gpt-5", *weekly, "--reason", "upgrades")
    assert "sat,sun from 23:00 Europe/Berlin for 90 min" in text
    found = json.loads(run(capsys, "silence", "--json"))["silences"]
    (first,) = [one for one in found if one["weekly"] is None]
    assert first["matchers"] == {"kind": "anomaly", "tenant": "acme*"}
    assert first["end_us"] - first["start_us"] == 2 * 3_600_000_000
    run(capsys, "silence", "--end", first["id"])
    assert [one.reason for one in AlertStore(store).silences(time.time_ns() // 1_000)] == [
        "upgrades"
    ]


def test_receivers_that_refuse_their_notifications_are_found(store: ClickHouse) -> None:
    now_us = time.time_ns() // 1_000
    away = "no connection: ClientConnectorError"

    def tried(receiver: str, sign: str, ago_s: int, outcome: Outcome, detail: str = "") -> None:
        message = Message(sign * 32, "0" * 32, now_us, "")
        result = Result(outcome, 0 if outcome == "retry" else 204, detail)
        AlertStore(store).record(Attempt(message, receiver, now_us - ago_s * 1_000_000, result))

    for ago_s in (7_200, 60, 5):  # two hours without an answer: since then, not since an hour ago
        tried("away", "a", ago_s, "retry", away)
    tried("away", "b", 30, "refused")
    tried("back", "a", 60, "retry", away)
    tried("back", "a", 5, "delivered")
    tried("of_yesterday", "a", 90_000, "refused")
    rows = store.select("status/failing_receivers", {"since_us": now_us - 3_600_000_000})
    (found,) = [FailingReceiver(**row) for row in rows]
    assert found == FailingReceiver(
        "away", waiting=1, given_up=1, tries=4, since_us=now_us - 7_200_000_000,
        last_try_us=now_us - 5_000_000, status=0, detail=away,
    )  # fmt: skip


class Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204 if self.path == "/good" else 410)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Log nothing."""


def test_a_test_is_sent_to_every_receiver(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "no receivers" in run(capsys, "test", code=5)
    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    base = f"http://127.0.0.1:{server.server_port}"
    path = tmp_path / "detect.yaml"
    path.write_text(
        "notify:\n"
        f"- {{name: good, kind: webhook, url: '{base}/good', secret_env: HOOK_SECRET}}\n"
        f"- {{name: gone, kind: slack, url: '{base}/gone'}}\n"
    )
    monkeypatch.setenv("TOKENTIDE_DETECT_FILE", str(path))
    try:
        assert "good  " in run(capsys, "test", "--receiver", "good")
        found = json.loads(run(capsys, "test", "--json", code=1))["receivers"]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert [(one["receiver"], one["outcome"], one["status"]) for one in found] == [
        ("good", "delivered", 204), ("gone", "refused", 410),
    ]  # fmt: skip


@pytest.mark.parametrize("off_us", [-3_600_000_000, 3_600_000_000])
def test_an_action_counts_at_once_whatever_the_clock_of_the_machine_says(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    store: ClickHouse,
    off_us: int,
) -> None:
    now_us = time.time_ns() // 1_000
    book = AlertBook(AlertRules())
    here = finding(at_us=now_us, dimensions=(("service", f"off by {off_us}"),))
    (opened,) = book.observe([here], now_us, now_us)
    AlertStore(store).append([opened])
    with monkeypatch.context() as patched:
        patched.setattr("tokentide_jobs.cli.alerts._now_us", lambda: now_us + off_us)
        run(capsys, "ack", opened.alert_id, "--reason", "looking", "--author", "dana")
    done, _ = AlertStore(store).actions(0)
    later_us = time.time_ns() // 1_000
    acts = [one for one in done if one.alert_id == opened.alert_id]
    made = book.observe([], later_us, later_us, acts)
    assert [(one.state, one.author) for one in made] == [("acknowledged", "dana")]
