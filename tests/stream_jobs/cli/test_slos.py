"""`tokentide slos`: from stored windows, hours and minutes alike, to a verdict and an exit code."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.databases import migrated
from tests.places import ROOT
from tokentide_jobs.cli.main import main
from tokentide_jobs.core.window.histogram import buckets_of
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.files.slo_file import parse_slos

pytestmark = pytest.mark.integration

NOW_S = int(time.time()) // 3_600 * 3_600 - 3_540
"""A minute after a full hour, whenever the test runs."""
FILE = """
slos:
- {name: answers, scope: {tenant: acme}, good: {errors: none}, objective: 99, window_days: 30}
- {name: speed, scope: {tenant: acme}, good: {latency_ms: 2000}, objective: 99, window_days: 30}
- {name: first, good: {ttft_ms: 500}, objective: 95, window_days: 7}
- {name: quality, good: {quality: 0.8}, objective: 95, window_days: 7}
- {name: no-calls, scope: {tenant: absent}, good: {errors: none}, objective: 99, window_days: 30}
"""


@pytest.fixture(scope="module")
def store(sql_server: str) -> Iterator[ClickHouse]:
    """Ten days of 100 requests an hour; in the last two hours a third of acme's fails."""
    fast, slow, first = (int(b) for b in buckets_of(np.array([1_900.0, 2_100.0, 400.0])))
    with migrated(sql_server) as store:
        store.command(
            f"INSERT INTO {store.database}.windows_10s (window_start, tenant, requests, errors, "
            "ttft_count, evaluations_scored, evaluation_score_micro_sum, latency_hist, ttft_hist) "
            f"SELECT toDateTime({NOW_S} - 120 - number * 3600, 'UTC'), "
            "arrayJoin(['acme', 'globex']) AS tenant, 150, "
            "if(number < 2 AND tenant = 'acme', 50, 0), 150, "
            "if(number = 5, 10, 0), if(number = 5, 9000000, 0), "
            f"map({fast}, 149, {slow}, 1), map({first}, 150) FROM numbers(240) "
            "SETTINGS max_partitions_per_insert_block = 0"
        )
        yield store


@pytest.fixture(autouse=True)
def environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sql_server: str, store: ClickHouse
) -> None:
    (tmp_path / "slos.yaml").write_text(FILE)
    clock = SimpleNamespace(time_ns=lambda: NOW_S * 10**9)
    monkeypatch.setattr("tokentide_jobs.cli.slos.time", clock)
    monkeypatch.setenv("TOKENTIDE_CLICKHOUSE_URL", sql_server)
    monkeypatch.setenv("TOKENTIDE_DATABASE", store.database)
    monkeypatch.setenv("TOKENTIDE_SLOS_FILE", str(tmp_path / "slos.yaml"))


def test_each_slo_is_judged_by_its_own_events_and_kept(
    capsys: pytest.CaptureFixture[str], store: ClickHouse
) -> None:
    assert main(["slos", "check", "--json"]) == 1
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)["slos"]}
    assert {name: (one["total"], one["bad"]) for name, one in found.items()} == {
        "answers": (36_000, 100), "speed": (36_000, 240), "first": (50_400, 0),
        "quality": (20, 0), "no-calls": (0, 0),
    }  # fmt: skip
    assert found["answers"]["verdict"] == "burning"
    assert {one["verdict"] for name, one in found.items() if name != "answers"} == {
        "ok", "no events",
    }  # fmt: skip
    rows = store.rows(
        f"SELECT slo, tenant, total, bad, severity FROM {store.database}.slo_status ORDER BY slo"
    )
    assert tuple(rows[0]) == ("answers", "acme", 36_000, 100, "page")
    assert len(rows) == 5


def test_one_is_shown_with_all_its_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["slos", "show", "answers"]) == 0
    text = capsys.readouterr().out
    assert "SLO answers (99 % no error in 30 d, tenant acme): 100 of 36,000 bad" in text
    assert "page    above 14.4x: 33.3x in 60 min, 33.3x in 5.0 min  BURNING" in text
    assert main(["slos", "list"]) == 0
    assert "burning" in capsys.readouterr().out
    assert main(["slos", "show", "nope"]) == 2
    assert "there is no SLO 'nope'" in capsys.readouterr().err


def test_the_file_of_the_page_is_one() -> None:
    page = (ROOT / "docs" / "slos.md").read_text("utf-8")
    example = page.partition("```yaml\n")[2].partition("```")[0]
    assert len(parse_slos(example.encode(), "docs/slos.md")) == 4
