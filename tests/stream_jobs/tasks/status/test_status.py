"""`tokentide status` against a real stack: what it says when all works, and when it does not."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from tests.prepared import Prepared
from tokentide_jobs.cli.main import main
from tokentide_jobs.embedded.processes.child import ChildProcess
from tokentide_jobs.embedded.stack.stack import WORKER_COMMAND, Stack

pytestmark = pytest.mark.integration

Output = pytest.CaptureFixture[str]


def event(**fields: Any) -> bytes:
    now_us = time.time_ns() // 1_000
    request = {
        "type": "request", "event_id": str(uuid.uuid4()), "service": "shop", "provider": "openai",
        "started_at_us": now_us, "operation": "chat", "status": "ok", "duration_ms": 10.0,
        "request_model": "gpt-5.4-mini", "input_tokens": 100, "output_tokens": 7,
    }  # fmt: skip
    return json.dumps({**request, **fields}).encode()


def stats(producer_id: str, dropped: int, uptime_ms: int) -> bytes:
    return json.dumps(
        {
            "type": "stats", "event_id": str(uuid.uuid4()), "service": "shop",
            "started_at_us": time.time_ns() // 1_000, "producer_id": producer_id,
            "uptime_ms": uptime_ms, "emitted": 100, "delivered": 100 - dropped,
            "dropped": dropped, "failed": 0, "queued": 0,
        }
    ).encode()  # fmt: skip


async def send(bootstrap: str, topic: str, values: Sequence[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)
    finally:
        await producer.stop()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared) -> Iterator[Stack]:
    with Stack(prepared(tmp_path_factory.mktemp("status")), broker="tansu", workers=0) as stack:
        yield stack


def ask(stack: Stack, capsys: Output, *options: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main(["status", "--json", "--data-dir", str(stack.data_dir), *options])
    return code, json.loads(capsys.readouterr().out)


def words(report: dict[str, Any]) -> str:
    return " | ".join(problem["words"] for problem in report["problems"])


@pytest.fixture
def page() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a health page whose answer the test decides."""
    answer: dict[str, Any] = {"status": "ready", "problems": [], "waits_for": []}

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answer).encode()
            self.send_response(200 if answer["status"] == "ready" else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            return None

    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", answer
    server.shutdown()
    thread.join()
    server.server_close()


def test_without_a_worker_the_ledger_tells_the_lag(stack: Stack, capsys: Output) -> None:
    code, before = ask(stack, capsys)
    assert (code, before["verdict"], before["lag_records"]) == (0, "attention", 0)
    assert before["unknown"] in ([], ["group_members"])
    assert "no worker reads the topics" in words(before)
    values = [event(), event(), b"no event", stats("p-new", 12, 60_000), stats("p-fine", 0, 1)]
    asyncio.run(send(stack.info.kafka, stack.info.events_topic, values))
    time.sleep(1.1)
    code, waiting = ask(stack, capsys)
    assert (code, waiting["verdict"], waiting["lag_records"]) == (1, "bad", 5)
    assert waiting["lag_s"] >= 1
    assert "5 records wait" in words(waiting)
    assert waiting["clickhouse"]["free_bytes"] > 0


def test_a_worker_is_found_asked_and_its_work_is_seen(
    stack: Stack, capsys: Output, tmp_path: Path
) -> None:
    worker = ChildProcess(
        "worker", [*WORKER_COMMAND, "--data-dir", str(stack.data_dir)],
        log_path=tmp_path / "worker.log",
    )  # fmt: skip
    worker.start()
    try:
        deadline = time.monotonic() + 90
        while True:
            code, report = ask(stack, capsys)
            if report["lag_records"] == 0 and report["last_batch_age_s"] is not None:
                break
            assert time.monotonic() < deadline, report
            time.sleep(0.5)
        (found,) = report["workers"]
        assert found["is_ready"], report
        assert report["dead_letters_last_hour"] == {"malformed_json": 1}
        assert report["dropping_producers"] == [
            {"service": "shop", "producer_id": "p-new", "dropped": 12}
        ]
        assert (code, report["verdict"]) == (0, "attention")
        assert main(["top", "--once", "--data-dir", str(stack.data_dir)]) == 0
        assert "attention" in capsys.readouterr().out.splitlines()[1]
    finally:
        worker.stop(20)
    assert list((stack.data_dir / "workers").glob("*")) == [], "it withdraws when it ends"


def test_what_a_worker_waits_for_is_shown(
    stack: Stack, capsys: Output, page: tuple[str, dict[str, Any]]
) -> None:
    url, answer = page
    code, report = ask(stack, capsys, "--worker", url)
    assert (code, report["workers"][0]["is_ready"]) == (0, True)
    rest = {"partition": 2, "until": "2026-11-29T12:00:00Z"}
    answer.update(status="ready", resting_partitions=[rest], min_free_bytes=1 << 60)
    code, report = ask(stack, capsys, "--worker", url)
    assert "partition 2 until 2026-11-29T12:00:00Z: most of its recent events" in words(report)
    assert f"nothing is stored below {1 << 40} (TOKENTIDE_MIN_FREE_BYTES)" in words(report)
    answer.update(status="starting", waits_for=["ClickHouse: away"], min_free_bytes=1)
    code, report = ask(stack, capsys, "--worker", url)
    assert (code, report["verdict"]) == (0, "attention")
    answer.update(status="not ready")
    code, report = ask(stack, capsys, "--worker", url)
    assert (code, report["verdict"]) == (1, "bad")
    assert "is not ready: ClickHouse: away" in words(report)
    assert main(["status", "--worker", "nonsense", "--data-dir", str(stack.data_dir)]) == 2


def test_a_file_of_a_worker_that_is_gone_says_nothing(stack: Stack, capsys: Output) -> None:
    folder = stack.data_dir / "workers"
    folder.mkdir(exist_ok=True)
    (folder / "1.json").write_text(json.dumps({"pid": 2**22 + 1, "url": "http://127.0.0.1:9"}))
    (folder / "2.json").write_text(json.dumps({"pid": os.getpid(), "url": "http://127.0.0.1:9"}))
    (folder / "3.json").write_text("{")
    _code, report = ask(stack, capsys)
    assert report["workers"] == []
    assert not (folder / "1.json").exists()


def test_a_service_that_does_not_answer_is_named_and_the_rest_is_read(
    stack: Stack, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TOKENTIDE_CLICKHOUSE_URL", "http://127.0.0.1:9")
        code, report = ask(stack, capsys)
        assert (code, report["verdict"]) == (3, "bad")
        assert report["kafka"]["answers"] and not report["clickhouse"]["answers"]
        assert main(["status", "--data-dir", str(stack.data_dir)]) == 3
        printed = capsys.readouterr().out
        assert "ClickHouse does not answer at http://127.0.0.1:9" in printed
        assert printed.splitlines()[-1] == "bad"
    with monkeypatch.context() as patch:
        patch.setenv("TOKENTIDE_KAFKA_BOOTSTRAP", "127.0.0.1:9")
        code, report = ask(stack, capsys)
        assert (code, report["verdict"]) == (3, "bad")
        assert report["clickhouse"]["answers"] and not report["kafka"]["answers"]
        assert report["last_batch_age_s"] is not None


def test_what_cannot_be_read_is_unknown_and_not_zero(
    stack: Stack, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENTIDE_CLICKHOUSE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("TOKENTIDE_KAFKA_BOOTSTRAP", "127.0.0.1:9")
    code, report = ask(stack, capsys)
    assert (code, report["verdict"]) == (3, "bad")
    for name in ("dead_letters_last_hour", "dropping_producers", "lag_records", "partitions"):
        assert report[name] is None
        assert name in report["unknown"]
    assert main(["status", "--data-dir", str(stack.data_dir)]) == 3
    screen = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines()[:9])
    for row in ("schema", "lag", "last batch", "dead letters", "dropped"):
        assert screen[row].split()[0] == "unknown", screen


def test_a_schema_that_is_missing_is_said_with_the_remedy(
    stack: Stack, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENTIDE_DATABASE", "nowhere")
    code, report = ask(stack, capsys)
    assert (code, report["clickhouse"]["answers"], report["schema_is_as_made"]) == (1, True, False)
    (problem,) = (one for one in report["problems"] if one["verdict"] == "bad")
    assert problem["words"].startswith("database nowhere has no tables of Tokentide")
    assert "tokentide migrate" in problem["words"]
