"""OTLP beside events, through the whole pipeline: spans become rows, the rest is accounted for."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
import urllib.request
from collections.abc import Iterator

import clickhouse_connect
import pytest
from aiokafka import AIOKafkaProducer

from tests.commands import command, verified
from tests.end_to_end.coding_fleet import fleet
from tests.otlp_requests import Request, attributes
from tests.prepared import Prepared
from tokentide.privacy import hash_user
from tokentide.settings import Settings as ProducerSettings
from tokentide_jobs.embedded.stack.stack import Stack
from tokentide_jobs.io.kafka.admin import ensure_topics
from tokentide_jobs.io.kafka.clients import admin_client
from tokentide_schemas.topics import EVENTS, OTLP

pytestmark = pytest.mark.integration

RECORDS = 40
USER_HASH_KEY = "test:only-this-test-knows-this-key"
CALLS = 5
"""Calls of a model in each OTLP record."""
EVENTS_SENT = 50


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared) -> Iterator[Stack]:
    key = tmp_path_factory.mktemp("key") / "user_hash_key"
    key.write_text(USER_HASH_KEY)
    environ = {**os.environ, "TOKENTIDE_USER_HASH_KEY_FILE": str(key)}
    directory = prepared(tmp_path_factory.mktemp("otlp"))
    with Stack(directory, broker="tansu", workers=1, environ=environ) as running:
        yield running


def export_request(number: int) -> bytes:
    request = Request(service="search-api", scope="opentelemetry.instrumentation.openai.v1")
    start_ns = time.time_ns() - 60_000_000_000
    trace_id = f"{number + 1:032x}"
    summed = {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 5000}
    request.span("answer", trace_id, f"{1:016x}", start_ns, attributes(**summed))
    for call in range(CALLS):
        request.span(
            "chat gpt-4o-mini",
            trace_id,
            f"{call + 2:016x}",
            start_ns + call,
            attributes(
                **{
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o-mini",
                    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
                    "gen_ai.usage.input_tokens": 1000,
                    "gen_ai.usage.cache_read.input_tokens": 200,
                    "gen_ai.usage.output_tokens": 10 + call,
                }
            ),
            parent=f"{1:016x}",
        )
    return request.encode()


def plain_event(number: int) -> bytes:
    event = {
        "type": "request",
        "event_id": f"00000000-0000-7000-8000-{number:012x}",
        "started_at_us": time.time_ns() // 1000 - 60_000_000,
        "service": "chat-api",
        "duration_ms": 100.0,
        "operation": "chat",
        "provider": "openai",
        "request_model": "gpt-4o-mini",
        "status": "ok",
        "input_tokens": 1000,
        "output_tokens": 10,
    }
    return json.dumps(event).encode()


METRICS = json.dumps(
    {
        "resourceMetrics": [
            {
                "scopeMetrics": [
                    {
                        "metrics": [
                            {
                                "name": "gen_ai.client.token.usage",
                                "histogram": {"dataPoints": [{"count": "1"}, {"count": "2"}]},
                            }
                        ]
                    }
                ]
            }
        ]
    }
).encode()
BROKEN = (b'{"resourceSpans": [', b"\n\x05proto", b"", plain_event(7))


async def send(
    bootstrap: str, topic: str, values: list[bytes], partitions: int | None = None
) -> None:
    """Send to partitions by turns; None: as the producer likes."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=False)
    await producer.start()
    try:
        sent = [
            await producer.send(topic, value, partition=partitions and number % partitions)
            for number, value in enumerate(values)
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


def test_spans_become_rows_beside_events_and_broken_records_dead_letters(stack: Stack) -> None:
    requests = [export_request(number) for number in range(RECORDS)]
    asyncio.run(send(stack.info.kafka, OTLP.name, [*requests, METRICS, *BROKEN]))
    asyncio.run(
        send(
            stack.info.kafka, stack.info.events_topic, [plain_event(n) for n in range(EVENTS_SENT)]
        )
    )

    report = verified(stack.data_dir)
    assert report["ok"] is True, report
    assert report["kafka_events"] == RECORDS * CALLS + len(BROKEN) + EVENTS_SENT
    assert report["dead_letters"] == len(BROKEN)
    assert report["token_spans_not_counted"] == RECORDS
    assert report["raw_events"] == report["window_events"] == RECORDS * CALLS + EVENTS_SENT
    assert (report["lost"], report["duplicated"], report["repeated_event_ids"]) == (0, 0, 0)

    client = clickhouse_connect.get_client(dsn=stack.info.clickhouse_dsn, database="tokentide")
    with client:
        rows = client.query(
            "SELECT count(), sum(input_tokens), sum(cache_read_tokens), sum(output_tokens),"
            " any(price_status), uniqExact(_offset, _partition), max(_idx), any(sdk_name)"
            f" FROM raw_requests WHERE _topic = '{OTLP.name}' AND service = 'search-api'"
        ).result_rows[0]
        reasons = client.query(
            f"SELECT reason, value FROM dead_letters WHERE _topic = '{OTLP.name}' ORDER BY reason"
        ).result_rows
        logs = client.query("SELECT uniqExact(log_id) FROM raw_requests").result_rows[0]
    assert rows[:4] == (
        RECORDS * CALLS,
        RECORDS * CALLS * 1000,
        RECORDS * CALLS * 200,
        RECORDS * sum(10 + call for call in range(CALLS)),
    )
    assert rows[4:] == ("exact", RECORDS, CALLS - 1, "opentelemetry.instrumentation.openai.v1")
    assert [reason for reason, _value in reasons] == [
        "empty",
        "malformed_json",
        "malformed_json",
        "not_otlp",
    ]
    assert logs == (2,)


def test_what_is_no_call_is_counted_in_the_metrics(stack: Stack) -> None:
    text = "".join(path.read_text() for path in (stack.data_dir / "logs").glob("*.log"))
    found = re.search(r'"?port"?[=:] ?(\d+)', text[text.index("http_listening") :])
    assert found is not None
    url = f"http://127.0.0.1:{found[1]}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        metrics = answer.read().decode()
    assert f'tokentide_ingest_otlp_ignored_total{{kind="token_spans"}} {float(RECORDS)}' in metrics
    assert 'tokentide_ingest_otlp_ignored_total{kind="token_metrics"} 2.0' in metrics
    assert 'tokentide_ingest_position{partition="otlp-0"}' in metrics


def test_a_dead_letter_is_named_by_its_topic_too(stack: Stack) -> None:
    where = ("--data-dir", str(stack.data_dir))
    listed = command("dlq", "list", "--reason", "not_otlp", "--json", *where)
    assert listed.returncode == 0, listed.stderr
    [dead_letter] = [json.loads(line) for line in listed.stdout.splitlines()]
    assert dead_letter["place"].startswith("otlp-")
    shown = command("dlq", "show", dead_letter["place"], "--raw", *where)
    assert (shown.returncode, shown.stdout) == (0, "")  # it may have held prompts
    assert "of which nothing is kept" in dead_letter["detail"]
    of_events = dead_letter["place"].removeprefix("otlp-")
    assert command("dlq", "show", of_events, *where).returncode == 2


async def make_anew(bootstrap: str, topic: str) -> None:
    async with admin_client(bootstrap) as admin:
        await admin.delete_topics([topic])
    await ensure_topics(bootstrap)


def test_an_events_topic_made_anew_under_a_running_stack_restarts_no_other_log(
    stack: Stack,
) -> None:
    info = stack.info
    asyncio.run(make_anew(info.kafka, info.events_topic))
    # Beyond the old positions of every partition: a worker that has not noticed could read on.
    numbers = range(EVENTS_SENT, EVENTS_SENT + EVENTS.partitions * (EVENTS_SENT + 10))
    values = [plain_event(number) for number in numbers]
    asyncio.run(send(info.kafka, info.events_topic, values, EVENTS.partitions))

    report = verified(stack.data_dir)
    assert report["ok"], report
    assert report["raw_events"] == RECORDS * CALLS + EVENTS_SENT + len(numbers)
    client = clickhouse_connect.get_client(dsn=info.clickhouse_dsn, database="tokentide")
    with client:
        rows = client.query(
            "SELECT _topic, count(), uniqExact(log_id) FROM raw_requests GROUP BY _topic ORDER BY 1"
        ).result_rows
    assert rows == [
        (info.events_topic, EVENTS_SENT + len(numbers), 2),
        (OTLP.name, RECORDS * CALLS, 1),
    ]


def test_a_fleet_of_coding_agents_spends_what_an_independent_sum_says(stack: Stack) -> None:
    values, sums = fleet(time.time_ns() - 60_000_000_000)
    asyncio.run(send(stack.info.kafka, OTLP.name, values))
    report = verified(stack.data_dir)
    assert report["ok"], report
    assert report["repeated_event_ids"] == 0
    hashes = {
        hash_user(ProducerSettings(user_hash_key=USER_HASH_KEY), mail): mail
        for mail, _tool, _model in sums
    }
    client = clickhouse_connect.get_client(dsn=stack.info.clickhouse_dsn, database="tokentide")
    with client:
        found = client.query(
            "SELECT user_hash, sdk_name, model, count(), sum(cost_pico_usd),"
            " sum(ifNull(reported_cost_pico_usd, 0)), countIf(price_status != if("
            "sdk_name = 'claude-code' AND ifNull(cache_write_tokens, 0) > 0, 'partial', 'exact'))"
            " FROM requests WHERE sdk_name IN ('claude-code', 'codex', 'gemini-cli')"
            " GROUP BY user_hash, sdk_name, model"
        ).result_rows
        compared = client.query(
            "SELECT sum(compared), toInt64(sum(reported_usd) * 1000000000000),"
            " toInt64(sum(computed_usd) * 1000000000000)"
            " FROM cost_reported_vs_computed WHERE source = 'claude-code'"
        ).result_rows[0]
        agents = client.query(
            "SELECT agent_name, parent_agent_name, uniqExact(team) FROM requests"
            " WHERE sdk_name = 'claude-code' GROUP BY 1, 2 ORDER BY 1"
        ).result_rows
        raw = client.query("SELECT count() FROM raw_requests WHERE user_hash LIKE '%@%'")
    assert {(hashes[row[0]], row[1], row[2]): row[3:6] for row in found} == sums
    assert {row[6] for row in found} == {0}  # Claude Code reports no lifetime of its cache writes
    of_claude = [sums[key] for key in sums if key[1] == "claude-code"]
    assert compared == tuple(sum(row[part] for row in of_claude) for part in (0, 2, 1))
    assert agents == [("Explore", "claude-code", 2), ("claude-code", "", 2)]
    assert raw.result_rows == [(0,)]
