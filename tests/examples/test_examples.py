"""Every example runs as its docstring says, against a real broker, and sends what it promises."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.examples.upstream import provider
from tests.fakes.openai_http import CHAT
from tests.places import ROOT
from tokentide_jobs.embedded.kafka.broker import Broker
from tokentide_jobs.embedded.kafka.choice import choose_broker
from tokentide_jobs.embedded.processes.ports import choose_port
from tokentide_jobs.io.kafka.admin import ensure_topics
from tokentide_schemas import EVENT_ADAPTER
from tokentide_schemas.topics import EVENTS

pytestmark = pytest.mark.integration

EXAMPLES = ROOT / "examples"


class Stage:
    """A broker, a provider, and the environment an example finds them by."""

    def __init__(self, broker: Broker, upstream: str) -> None:
        self.broker = broker
        self.upstream = upstream

    def environment(self, service: str) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(EXAMPLES),
            "TOKENTIDE_KAFKA_BOOTSTRAP": self.broker.bootstrap,
            "TOKENTIDE_SERVICE": service,
            "TOKENTIDE_EXIT_TIMEOUT_S": "20",
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": f"{self.upstream}/v1",
            "UPSTREAM": self.upstream,
        }

    def run(self, service: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self.environment(service),
            cwd=EXAMPLES,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "not delivered" not in done.stderr
        return done.stdout

    def events(self, service: str, kind: str = "request") -> list[dict[str, Any]]:
        """Return what arrived from one service, every event valid by the contract."""
        found = [event for event in asyncio.run(self._read()) if event["service"] == service]
        for event in found:
            EVENT_ADAPTER.validate_python(event)
        return [event for event in found if event["type"] == kind]

    async def _read(self) -> list[dict[str, Any]]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.broker.bootstrap, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            partitions = [TopicPartition(EVENTS.name, number) for number in range(4)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            events: list[dict[str, Any]] = []
            async with asyncio.timeout(20):
                while any([await consumer.position(p) < end for p, end in ends.items()]):
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        for record in records:
                            assert record.value is not None
                            events += map(orjson.loads, record.value.splitlines())
            return sorted(events, key=lambda event: (event["pid"], event["seq"]))
        finally:
            await consumer.stop()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    broker = choose_broker("tansu", tmp_path_factory.mktemp("broker"))
    broker.start()
    try:
        asyncio.run(ensure_topics(broker.bootstrap))
        with provider() as upstream:
            yield Stage(broker, upstream)
    finally:
        broker.stop()


USED = {"input_tokens": 10, "output_tokens": 2, "cache_read_tokens": 4, "usage_source": "provider"}


def fields(event: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: event.get(name) for name in names}


def test_the_ten_lines_of_the_readme_record_a_call(stage: Stage) -> None:
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    stage.run("readme", "-c", f'{lines}\nanswer("acme", [{{"role": "user", "content": "Why?"}}])')
    (event,) = stage.events("readme")
    assert fields(event, *USED) == USED
    assert fields(event, "tenant", "feature", "prompt_version", "request_model") == {
        "tenant": "acme",
        "feature": "answer",
        "prompt_version": "v12",
        "request_model": "gpt-5-mini",
    }


def test_the_log_record_of_a_coding_agent_is_in_kafka(stage: Stage) -> None:
    printed = stage.run("agents", "coding_agent_log.py", "coding_agent_log.json")
    assert re.fullmatch(
        r"coding_agent_log\.json: tokentide\.otlp\.v1 partition \d offset 0\n", printed
    )


FASTAPI_CLIENT = """
import asyncio, httpx
from fastapi_service import app

async def main():
    transport = httpx.ASGITransport(app)
    headers = {"X-Tenant": "acme"}
    async with httpx.AsyncClient(transport=transport, base_url="http://s", headers=headers) as http:
        reply = await http.post("/answers", json={"text": "Why?"})
        assert reply.json() == {"response_id": "chatcmpl-1", "text": "hi"}, reply.text
        reply = await http.post("/answers/stream", json={"text": "Why?"})
        assert reply.text == "ab", reply.text
        reply = await http.post("/feedback/chatcmpl-1/up")
        assert reply.status_code == 200, reply.text

asyncio.run(main())
"""


def test_the_fastapi_service_tells_whose_calls_it_made(stage: Stage) -> None:
    stage.run("fastapi", "-c", FASTAPI_CLIENT)
    at_once, streamed = stage.events("fastapi")
    for event in (at_once, streamed):
        assert fields(event, *USED) == USED
        assert fields(event, "tenant", "prompt_name", "prompt_version", "status") == {
            "tenant": "acme",
            "prompt_name": "answer",
            "prompt_version": "v3",
            "status": "ok",
        }
    assert (at_once["feature"], streamed["feature"]) == ("answer", "stream")
    assert streamed["stream"] is True
    assert streamed["ttft_ms"] > 0
    (thumb,) = stage.events("fastapi", "feedback")
    assert fields(thumb, "label", "response_id") == {"label": "up", "response_id": "chatcmpl-1"}


CELERY_HOST = """
import celery_worker, time
from celery.signals import task_success
from celery.contrib.testing.worker import start_worker

done = []
task_success.connect(lambda **_: done.append(1), weak=False)
with start_worker(celery_worker.app, pool="solo", perform_ping_check=False):
    for number in range(3):
        celery_worker.summarise.delay("acme", f"doc-{number}", "Some long text.")
    deadline = time.monotonic() + 30
    while len(done) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
"""


def test_the_celery_worker_records_each_task_s_call(stage: Stage) -> None:
    stage.run("celery", "-c", CELERY_HOST)
    events = stage.events("celery")
    assert [event["tags"]["document"] for event in events] == ["doc-0", "doc-1", "doc-2"]
    for event in events:
        assert fields(event, *USED) == USED
        assert fields(event, "tenant", "feature", "prompt_version") == {
            "tenant": "acme",
            "feature": "summary",
            "prompt_version": "v7",
        }
    verdicts = stage.events("celery", "evaluation")
    assert [fields(v, "name", "passed", "response_id") for v in verdicts] == [
        {"name": "one_sentence", "passed": True, "response_id": "chatcmpl-1"}
    ] * 3


def test_the_langchain_app_records_every_run_below_one_trace(stage: Stage) -> None:
    printed = stage.run("langchain", "langchain_app.py", "How", "do", "I", "reset", "it?")
    assert printed.strip() == "Use the link on the sign-in page."
    events = stage.events("langchain")
    assert len(events) == 2
    assert len({event["trace_id"] for event in events}) == 1
    for event in events:
        assert fields(event, "tenant", "prompt_version", "input_tokens", "output_tokens") == {
            "tenant": "acme",
            "prompt_version": "v2",
            "input_tokens": 21,
            "output_tokens": 4,
        }


def test_the_batch_job_emits_every_line_under_an_id_that_stays(
    stage: Stage, tmp_path: Path
) -> None:
    def line(number: int, response: object, error: object = None) -> str:
        given = {"id": f"batch_req_{number}", "custom_id": f"row-{number}"}
        return json.dumps({**given, "response": response, "error": error})

    created = int(time.time()) - 3600
    body = {**CHAT, "created": created}
    refused = {"status_code": 400, "body": {"error": {"code": "context_length_exceeded"}}}
    path = tmp_path / "batch_output.jsonl"
    path.write_text(
        "\n".join(
            [line(n, {"status_code": 200, "body": body}) for n in range(1200)]
            + [line(1200, refused), line(1201, None, {"code": "batch_expired"})]
        )
    )
    assert stage.run("batch", "batch_job.py", str(path)).strip() == "1203 delivered, 0 lost"
    events = stage.events("batch")
    assert [event["tags"]["custom_id"] for event in events] == [f"row-{n}" for n in range(1202)]
    assert [event["status"] for event in events[-3:]] == ["ok", "error", "error"]
    assert [event["error_code"] for event in events[-2:]] == [
        "context_length_exceeded",
        "batch_expired",
    ]
    assert {event["processing"] for event in events} == {"batch"}
    assert fields(events[0], *USED) == USED
    assert events[0]["started_at_us"] == created * 1_000_000
    stage.run("batch", "batch_job.py", str(path))
    ids = [event["event_id"] for event in stage.events("batch")]
    assert len(ids) == 2 * len(set(ids)), "the second run repeats the ids of the first"


LAMBDA_HOST = """
import lambda_function, os, sys, types

lambda_function.FLUSH_S = 20.0  # a busy machine may need longer than a platform would allow
context = types.SimpleNamespace(aws_request_id=sys.argv[1])
reply = lambda_function.handler({"tenant": "acme", "question": "Why?"}, context)
print(reply["body"], flush=True)
os._exit(0)  # as a platform ends a function it has no more use for
"""


def test_the_serverless_function_has_sent_its_event_when_it_answers(stage: Stage) -> None:
    answers = [json.loads(stage.run("lambda", "-c", LAMBDA_HOST, f"r-{n}")) for n in range(2)]
    events = {event["event_id"]: event for event in stage.events("lambda")}
    assert [answer["answer"] for answer in answers] == ["hi", "hi"]
    for number, answer in enumerate(answers):
        event = events[answer["event"]]
        assert fields(event, *USED) == USED
        assert (event["tenant"], event["tags"]) == ("acme", {"invocation": f"r-{number}"})


class Gateway:
    """The gateway as a process of its own."""

    def __init__(self, stage: Stage) -> None:
        self.port = choose_port(0, "PORT")
        environ = {**stage.environment("gateway"), "PORT": str(self.port)}
        command = [sys.executable, "gateway.py"]
        self.process = subprocess.Popen(
            command, env=environ, cwd=EXAMPLES, stdout=subprocess.DEVNULL
        )

    def ask(self, **body: object) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json", "X-Team": "search"}
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/chat/completions",
            data=json.dumps({"messages": [], **body}).encode(),
            headers=headers,
        )
        deadline_s = time.monotonic() + 20
        while True:
            try:
                with urllib.request.urlopen(asked, timeout=10) as reply:
                    return reply.status, reply.read()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read()
            except (urllib.error.URLError, ConnectionError):
                assert time.monotonic() < deadline_s
                time.sleep(0.05)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0


def test_the_gateway_forwards_unchanged_and_tells_what_was_used(stage: Stage) -> None:
    gateway = Gateway(stage)
    try:
        status, body = gateway.ask(model="gpt-5-mini")
        assert (status, json.loads(body)) == (200, CHAT)
        options = {"include_usage": True}
        status, body = gateway.ask(model="gpt-5-mini", stream=True, stream_options=options)
        assert status == 200
        assert body.endswith(b"data: [DONE]\n\n")
        assert gateway.ask(model="limited")[0] == 429
        gateway.stop()
    finally:
        gateway.process.kill()
        gateway.process.wait()
    whole, streamed, limited = stage.events("gateway")
    for event in (whole, streamed):
        assert fields(event, *USED) == USED
        assert fields(event, "status", "team", "http_status") == {
            "status": "ok",
            "team": "search",
            "http_status": 200,
        }
    assert streamed["stream"] is True
    assert fields(limited, "status", "error_type", "http_status", "usage_source") == {
        "status": "error",
        "error_type": "rate_limit",
        "http_status": 429,
        "usage_source": "missing",
    }


def test_examples_stay_short_and_say_how_they_are_run() -> None:
    examples = sorted(EXAMPLES.glob("*.py"))
    assert len(examples) == 7
    for example in examples:
        text = example.read_text()
        assert len(text.splitlines()) <= 90, example
        assert "pip install " in text, example
        assert "TOKENTIDE_KAFKA_BOOTSTRAP" in text, example
