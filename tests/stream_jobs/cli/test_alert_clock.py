"""Silences begin, hold and end by the clock of the database, whatever that of the machine says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tokentide_jobs.cli.main import main
from tokentide_jobs.core.alert.silence import Silence
from tokentide_jobs.core.tables import HOUR_US

NOW_US = 1_700_000_000_000_000
"""By the database; the machine is years ahead."""


class Store:
    """Silences as the database keeps them."""

    def __init__(self) -> None:
        self.kept: dict[str, Silence] = {}
        self.now_us = NOW_US
        self.listed_since_us = 0

    def clock_us(self) -> int:
        return self.now_us

    def silences(self, now_us: int) -> list[Silence]:
        return [one for one in self.kept.values() if one.end_us > now_us]

    def silence(self, silence: Silence) -> None:
        self.kept[silence.id] = silence

    def listed(self, since_us: int) -> list[dict[str, Any]]:
        self.listed_since_us = since_us
        fields = {"kind": "run", "key": "run 7", "metric": "repeats", "severity": "page"}
        return [{**fields, "dimensions": {}, "state": "open", "alert_id": "7", "evidence": None}]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    store = Store()

    @contextmanager
    def opened(_data_dir: object) -> Iterator[Store]:
        yield store

    monkeypatch.setattr("tokentide_jobs.cli.alerts._opened", opened)
    monkeypatch.setattr("tokentide_jobs.cli.alerts.in_order", lambda found: found)
    return store


def silence(*arguments: str) -> None:
    assert main(["alerts", "silence", *arguments, "--author", "dana"]) == 0


def test_a_silence_begins_now_by_the_database(store: Store) -> None:
    silence("tenant=acme", "--for", "2h", "--reason", "load test")
    (one,) = store.kept.values()
    assert (one.start_us, one.end_us) == (NOW_US, NOW_US + 2 * HOUR_US)


def test_a_silence_that_begins_later_holds_as_long_as_it_was_asked_for(store: Store) -> None:
    silence("a=b", "--for", "2h", "--from", "2023-11-15T00:00:00Z", "--reason", "upgrade")
    (one,) = store.kept.values()
    assert (one.start_us, one.end_us) == (
        1_700_006_400_000_000,
        1_700_006_400_000_000 + 2 * HOUR_US,
    )


def test_a_silence_is_found_and_ended_at_once_by_the_database(store: Store) -> None:
    silence("tenant=acme", "--for", "2h", "--reason", "load test")
    (one,) = store.kept.values()
    store.now_us += HOUR_US
    silence("--end", one.id)
    assert store.kept[one.id].end_us == NOW_US + HOUR_US


def test_alerts_are_listed_with_the_silences_that_hold_by_the_database(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    silence("kind=run", "--for", "2h", "--reason", "load test")
    (one,) = store.kept.values()
    capsys.readouterr()
    assert main(["alerts", "list", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)["alerts"]
    assert listed["silenced_by"] == one.id
    assert store.listed_since_us == NOW_US - 24 * HOUR_US
