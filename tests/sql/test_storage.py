"""What a row takes on the disk."""

from __future__ import annotations

import pytest
from clickhouse_connect.driver.client import Client

pytestmark = pytest.mark.integration

ROWS = 200_000
INSERT = 50_000

# A day of busy, fully identified traffic: every random identifier filled, skewed dimensions,
# log-normal sizes and times, costs as a price list makes them.
TRAFFIC = """
INSERT INTO raw_requests
    (schema_version, event_id, started_at, service, environment, tenant, team, feature, user_hash,
     sdk_name, sdk_version, host, pid, trace_id, span_id, parent_span_id, tags_json, dropped_before,
     seq, duration_ms, operation, provider, status, request_model, response_model, response_id,
     conversation_id, prompt_name, prompt_version, stream, max_tokens, temperature, input_tokens,
     output_tokens, cache_read_tokens, usage_source, http_status, retry_count, finish_reasons,
     ttft_ms, chunks, max_chunk_gap_ms, cost_pico_usd, cost_input_pico_usd,
     cost_cache_read_pico_usd, cost_cache_write_pico_usd, cost_output_pico_usd,
     cost_other_pico_usd, price_version, price_status, price_rule, log_id, _topic, _partition,
     _offset, _idx, ingested_at)
WITH
    toUnixTimestamp64Milli(toDateTime64(today(), 3, 'UTC')) AS midnight_ms,
    midnight_ms * 1000 + number * 432000 + randUniform(0, 400000)::Int64 AS at_us,
    lower(leftPad(hex(intDiv(at_us, 1000)), 12, '0')) AS ms_hex,
    lower(hex(randomFixedString(10))) AS noise,
    intDiv(number, 80) * 10 + rand(1) % 10 AS conversation,
    cityHash64(conversation) AS c,
    least(rand(2) % 5, rand(3) % 5) + 1 AS m,
    ['gpt-4.1-mini', 'claude-sonnet-4', 'gpt-4.1', 'gemini-2.5-flash', 'claude-haiku'][m] AS model,
    [400000, 3000000, 2000000, 300000, 800000][m] AS rate_in,
    [1600000, 15000000, 8000000, 2500000, 4000000][m] AS rate_out,
    toUInt64(randLogNormal(7, 1.2)) AS tokens_in,
    1 + toUInt64(randLogNormal(5.3, 1)) AS tokens_out,
    if(rand(4) % 5 < 2, intDiv(tokens_in, 256) * 128, 0) AS tokens_read,
    round(300 + tokens_out * randLogNormal(2.6, 0.3), 3) AS duration,
    (tokens_in - tokens_read) * rate_in AS c_in, tokens_read * intDiv(rate_in, 10) AS c_read,
    tokens_out * rate_out AS c_out
SELECT
    1, toUUID(concat(substring(ms_hex, 1, 8), '-', substring(ms_hex, 9, 4), '-7',
        substring(noise, 1, 3), '-a', substring(noise, 4, 3), '-', substring(noise, 7, 12))),
    fromUnixTimestamp64Micro(at_us, 'UTC'), ['chat', 'rag', 'agent', 'batch'][c % 4 + 1],
    'production', ['acme', 'globex', 'initech', 'umbrella'][least(c % 7, 3) + 1],
    ['search', 'growth'][c % 2 + 1], ['answer', 'rewrite', 'plan'][rand(5) % 3 + 1],
    lower(hex(cityHash64('user', c % 5000))), 'tokentide', '0.1.0',
    concat('pod-', toString(rand(6) % 20)), 20 + rand(7) % 30, lower(hex(randomFixedString(16))),
    lower(hex(randomFixedString(8))), lower(hex(randomFixedString(8))),
    ['{}', '{"release":"2026.11.3"}'][rand(8) % 2 + 1], 0, intDiv(number, 20), duration, 'chat',
    ['openai', 'anthropic', 'openai', 'google', 'anthropic'][m], 'ok', model, model,
    concat('chatcmpl-', substring(replaceRegexpAll(base64Encode(randomFixedString(24)),
        '[+/=]', 'x'), 1, 29)),
    concat('conv_', lower(hex(c))), ['answer', 'rewrite', 'plan'][rand(9) % 3 + 1],
    ['v12', 'v13'][rand(10) % 2 + 1], rand(11) % 10 < 7, 4096, 0.7, tokens_in, tokens_out,
    tokens_read, 'provider', 200, 0, ['stop'],
    least(duration, round(200 + randLogNormal(5.5, 0.5), 3)), tokens_out,
    round(randLogNormal(4, 0.6), 3), c_in + c_read + c_out, c_in, c_read, 0, c_out, 0,
    '2026.11', 'exact', concat('card/', model), 'log', 'tokentide.events.v1', rand(12) % 4,
    intDiv(number, 160), rand(13) % 40,
    fromUnixTimestamp64Micro(midnight_ms * 1000 + intDiv(number, 2000) * 2000 * 432000, 'UTC')
FROM numbers("""


def test_a_fully_identified_request_takes_less_than_120_bytes(sql_client: Client) -> None:
    for start in range(0, ROWS, INSERT):
        sql_client.command(f"{TRAFFIC}{start}, {INSERT})", settings={"max_insert_threads": 1})
    sql_client.command("OPTIMIZE TABLE raw_requests FINAL")
    rows, per_row = sql_client.query(
        "SELECT sum(rows), sum(bytes_on_disk) / sum(rows) FROM system.parts"
        " WHERE active AND database = currentDatabase() AND table = 'raw_requests'"
    ).result_rows[0]
    assert rows == ROWS
    assert 60 < per_row < 120


def test_window_rows_are_small_next_to_the_rows_they_sum_up(sql_client: Client) -> None:
    sql_client.command(
        "INSERT INTO windows_10s (window_start, tenant, service, model, events, requests,"
        " input_tokens, output_tokens, cost_pico_usd, duration_us_sum, latency_hist, cost_hist)"
        " WITH x -> CAST(map(toInt16(ceil(log(assumeNotNull(x)) / log(1.01 / 0.99))), 1),"
        " 'Map(Int16, UInt64)') AS hist SELECT toStartOfInterval(started_at, toIntervalSecond(10)),"
        " tenant, service,"
        " request_model, count(), count(), sum(input_tokens), sum(output_tokens),"
        " sum(cost_pico_usd), toUInt64(sum(duration_ms * 1000)), sumMap(hist(duration_ms)),"
        " sumMap(hist(cost_pico_usd)) FROM raw_requests GROUP BY ALL",
    )
    for level in ("windows_10s", "windows_1m", "windows_1h", "windows_1d"):
        sql_client.command(f"OPTIMIZE TABLE {level} FINAL")
    sizes = dict(
        (str(table), int(size))
        for table, size in sql_client.query(
            "SELECT table, sum(bytes_on_disk) FROM system.parts"
            " WHERE active AND database = currentDatabase() GROUP BY table"
        ).result_rows
    )
    assert sizes["windows_10s"] < sizes["raw_requests"] / 4
    assert sizes["windows_1h"] < sizes["raw_requests"] / 20
    assert sizes["windows_1d"] < sizes["raw_requests"] / 100
