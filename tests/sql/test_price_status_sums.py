"""Sums by price_status that raw_requests holds are those of its rows, whatever happens to them."""

from __future__ import annotations

import datetime as dt

import pytest
from clickhouse_connect.driver.client import Client

from tests.dashboards.test_boards import span
from tokentide_dashboards.boards.cost_tables import CERTAINTY
from tokentide_dashboards.check.browser import ALL, expand
from tokentide_dashboards.kit.query import with_names
from tokentide_dashboards.kit.variable import SCOPE_NAMES
from tokentide_jobs.io.schema.retention import retention_statements
from tokentide_jobs.io.schema.sql_template import SqlTarget

pytestmark = pytest.mark.integration

FROM_SUMS = {"force_optimize_projection_name": "price_status_sums"}
FROM_ROWS = {"optimize_use_projections": 0}
NOW = dt.datetime.now(dt.UTC)
AT_ONCE = "SETTINGS mutations_sync = 1"


@pytest.fixture
def client(sql_client: Client) -> Client:
    sql_client.command("TRUNCATE TABLE raw_requests")
    return sql_client


def panel(days: float, **chosen: str) -> str:
    values = {name: [chosen[name]] if name in chosen else ALL for name in SCOPE_NAMES}
    assert isinstance(CERTAINTY.sql, str)
    return expand(with_names(CERTAINTY.sql), span(days, NOW), values)


def answers(client: Client, text: str) -> list[tuple[object, ...]]:
    """Query the sums and the rows, and return both."""
    summed, counted = (
        client.query(text, settings=settings).result_rows for settings in (FROM_SUMS, FROM_ROWS)
    )
    assert summed == counted
    return [tuple(row) for row in summed]


def store(client: Client, ages_h: range, tenant: str, status: str, cost: str) -> None:
    client.command(
        "INSERT INTO raw_requests (started_at, tenant, provider, request_model, response_model,"
        " price_status, price_rule, cost_pico_usd)"
        f" SELECT now64(6) - toIntervalHour(number), '{tenant}', 'openai', 'gpt-5',"
        f" if(number % 2 = 0, '', 'gpt-5-mini'), '{status}',"
        f" concat('rule-', toString(number)), {cost}"
        f" FROM numbers({ages_h.start}, {len(ages_h)})"
    )


def test_sums_follow_their_rows(client: Client) -> None:
    # 9e18 pico-dollars are nearly all that an Int64 holds: two of them are more.
    store(client, range(1, 100), "acme", "exact", "9000000000000000000")
    store(client, range(1, 200, 3), "globex", "alias", "number + 1")
    store(client, range(150, 240), "globex", "unpriced", "NULL")
    before = answers(client, panel(30))
    assert [(row[0], row[1], row[3], row[5]) for row in before] == [
        ("alias", 67, 2, "rule-1"),
        ("unpriced", 90, 2, "rule-150"),
        ("exact", 99, 2, "rule-1"),
    ]
    assert before[2][2] == 99 * 9_000_000
    by_day = "SELECT sum(cost_pico_usd) FROM spend_by_price_status_day WHERE price_status = 'exact'"
    assert client.query(by_day).result_rows == [(99 * 9_000_000_000_000_000_000,)]
    assert answers(client, panel(30, model="gpt-5-mini"))[0][1] == 34
    assert len(answers(client, panel(30, tenant="acme"))) == 1

    changes = (
        "ALTER TABLE raw_requests UPDATE price_status = 'override', cost_pico_usd = 7"
        " WHERE tenant = 'acme' AND response_model = ''",
        "ALTER TABLE raw_requests DELETE WHERE price_status = 'alias' AND response_model = ''",
        "DELETE FROM raw_requests WHERE price_status = 'exact' AND started_at > now() - 36000",
    )
    for change in changes:
        client.command(f"{change} {AT_ONCE}")
        after = answers(client, panel(30))
        assert after != before
        before = after


def test_sums_end_with_the_retention_of_a_tenant(client: Client) -> None:
    store(client, range(1, 200), "acme", "exact", "1")
    store(client, range(1, 200), "globex", "exact", "1")
    client.command("INSERT INTO tenant_retention (tenant, days) VALUES ('globex', 3)")
    for statement in retention_statements(client, SqlTarget(str(client.database))):
        client.command(statement)
    client.command(f"ALTER TABLE raw_requests MATERIALIZE TTL {AT_ONCE}")
    client.command("OPTIMIZE TABLE raw_requests FINAL")
    assert answers(client, panel(30, tenant="acme"))[0][1] == 199
    assert answers(client, panel(30, tenant="globex"))[0][1] in range(48, 100)


def test_a_range_of_hours_counts_to_the_second(client: Client) -> None:
    store(client, range(1, 100), "acme", "exact", "1")
    for days in (1.0, 2.0):
        (row,) = client.query(panel(days)).result_rows
        assert row[1] == days * 24
