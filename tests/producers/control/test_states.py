"""States that are read back: what a host gets, in bounded memory, whatever the topic holds."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest

import tokentide
from tests.places import ROOT
from tokentide import Telemetry
from tokentide.control.states import BudgetState, RunState
from tokentide.control.table import StateTable
from tokentide.settings.given import GivenSettings
from tokentide.testing import CaptureSender
from tokentide_schemas.control import CONTROL_ADAPTER, CONTROL_MODELS, budget_key, run_key
from tokentide_schemas.examples import load_examples

NOW_US = 1_795_000_000_000_000


class Clock:
    now_us = NOW_US
    now_s = 100.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table(clock: Clock) -> StateTable:
    return StateTable(100_000, lambda: clock.now_us, lambda: clock.now_s)


def run_of(state: str, **fields: Any) -> bytes:
    return json.dumps({"state": state, "at_us": NOW_US, **fields}).encode()


def budget_of(**fields: Any) -> bytes:
    known = {"amount_pico_usd": 100, "spent_pico_usd": 50, "period_end_us": NOW_US + 1}
    return json.dumps({**known, "kind": "hard", "at_us": NOW_US, **fields}).encode()


def test_a_run_is_what_its_newest_record_says_until_it_ends(table: StateTable) -> None:
    key = run_key("acme", "r 1").encode()
    table.apply(key, run_of("ok"))
    table.apply(key, run_of("stop", reason="too dear", rules=["budget"], spend_pico_usd=1 << 70))
    state = table.run_state("acme", "r 1")
    assert (state.state, state.must_stop, state.rules) == ("stop", True, ("budget",))
    assert state.spend_usd == Decimal(1 << 70).scaleb(-12)
    assert table.run_state("other", "r 1").state == "unknown"
    table.apply(key, None)
    assert table.run_state("acme", "r 1").state == "unknown"
    assert table.stats()["states"] == 0


def test_what_is_known_says_how_old_it_is(table: StateTable, clock: Clock) -> None:
    assert table.run_state("", "r") == RunState(
        run="r", reason="no state was read yet: reading has just begun"
    )
    table.last_error = "ConnectionError: away"
    assert table.run_state("", "r").reason == "no state was read yet: ConnectionError: away"
    table.apply(b"run//r", run_of("ok"))
    table.note_answer()
    table.reach_end()
    clock.now_us += 7_000_000
    clock.now_s += 3
    state = table.run_state("", "r")
    assert (state.age_s, state.heard_s) == (7, 3)
    assert (table.run_state("", "q").reason, table.run_state("", "q").heard_s) == (
        "no state of it was published",
        3,
    )
    clock.now_us = NOW_US - 1
    assert table.run_state("", "r").age_s == 0


@pytest.mark.parametrize(
    ("fields", "state", "must_stop"),
    [
        ({}, "ok", False),
        ({"spent_pico_usd": 100}, "ok", False),
        ({"spent_pico_usd": 101}, "over", True),
        ({"spent_pico_usd": 101, "kind": "soft"}, "over", False),
        ({"spent_pico_usd": 101, "period_end_us": NOW_US}, "ended", False),
    ],
)
def test_a_budget_asks_to_stop_only_when_it_is_hard_and_over_and_current(
    table: StateTable, fields: dict[str, Any], state: str, must_stop: bool
) -> None:
    table.apply(budget_key("search team").encode(), budget_of(**fields))
    found = table.budget_state("search team")
    assert (found.state, found.must_stop) == (state, must_stop)
    assert found.share == found.spent_pico_usd / 100
    assert BudgetState(budget="b").share == 0


@pytest.mark.parametrize("name", sorted(CONTROL_MODELS))
def test_every_state_of_the_contract_is_understood(table: StateTable, name: str) -> None:
    for example in load_examples(name):
        if example.reason is not None:
            continue
        state = CONTROL_ADAPTER.validate_python(example.event)
        table.apply(state.key.encode(), state.model_dump_json(by_alias=True).encode())
        if name == "run_state":
            run = table.run_state(example.event["tenant"], example.event["run"])
            assert (run.state, run.spend_pico_usd) == (
                example.event["state"], example.event["spend_pico_usd"],
            )  # fmt: skip
        else:
            budget = table.budget_state(example.event["budget"])
            assert budget.spent_pico_usd == example.event["spent_pico_usd"]
            assert budget.state != "unknown"


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"[]", b"null", b"7", b"\xff", b"{}", b'{"state": "stop"}', b'{"state": []}',
     b'{"state": "stop", "at_us": "x"}', b'{"state": "stop", "at_us": 1, "rules": 5}',
     b'{"state": "stop", "at_us": 1e400}', b"[" * 50_000],
)  # fmt: skip
def test_rubbish_is_unknown_and_raises_nothing(table: StateTable, value: bytes) -> None:
    table.apply(b"run//r", value)
    table.apply(b"budget/b", value)
    assert table.run_state("", "r").state == "unknown"
    assert table.budget_state("b").state == "unknown"


def test_keys_that_are_none_are_counted(table: StateTable) -> None:
    for key in (None, b"", b"\xff", b"k" * 70_000):
        table.apply(key, b"{}")
    assert table.stats() == {
        "states": 0,
        "evicted": 0,
        "unreadable": 4,
        "overtaken": 0,
        "failures": 0,
    }


def test_memory_is_bounded_and_what_changed_longest_ago_makes_room() -> None:
    table = StateTable(65_536)
    for number in range(1_000):
        table.apply(f"run//r{number}".encode(), run_of("ok"))
        table.apply(b"run//kept", run_of("stop"))
    assert table.run_state("", "kept").must_stop
    assert table.run_state("", "r0").state == "unknown"
    assert table.run_state("", "r999").state == "ok"
    stats = table.stats()
    assert stats["evicted"] == 1_001 - stats["states"] > 0
    assert table._bytes <= 65_536
    for number in range(1_000):
        table.apply(f"run//r{number}".encode(), None)
    table.apply(b"run//kept", None)
    assert (table._bytes, table.stats()["states"]) == (0, 0)


def test_reading_again_keeps_what_is_known_until_it_is_at_the_end(table: StateTable) -> None:
    table.apply(b"run//ended", run_of("stop"))
    table.apply(b"run//stays", run_of("stop"))
    table.reach_end()
    table.begin()
    assert table.run_state("", "ended").must_stop
    table.apply(b"run//stays", run_of("flagged"))
    table.reach_end()
    assert table.run_state("", "ended").state == "unknown"
    assert table.run_state("", "stays").state == "flagged"


class Asked:
    """A producer that reads back; its broker's port is closed."""

    def __init__(self, **settings: Any) -> None:
        self.telemetry = Telemetry(
            sender=CaptureSender(), bootstrap="127.0.0.1:1", service="s", read_control=True,
            **settings,
        )  # fmt: skip
        found = self.telemetry._producer.states()
        assert found is not None
        self.table = found


def test_the_run_is_that_of_the_block_where_none_is_named() -> None:
    asked = Asked(tenant="default")
    telemetry = asked.telemetry
    try:
        for tenant, run in (("default", "r"), ("acme", "r"), ("acme", "talk"), ("acme", "other")):
            asked.table.apply(run_key(tenant, run).encode(), run_of("flagged", reason=tenant + run))
        assert telemetry.run_state().reason == "no run: give run_id, or ask inside its context"
        assert telemetry.run_state("r").reason == "defaultr"
        with tokentide.context(tenant="acme", session="talk"):
            assert telemetry.run_state().reason == "acmetalk"
            with tokentide.context(run_id="r"):
                assert telemetry.run_state().reason == "acmer"
                assert telemetry.run_state("other").reason == "acmeother"
                assert telemetry.run_state(tenant="default").reason == "defaultr"
                assert tokentide.current_run_state().state == "unknown", "not instrumented"
                tokentide.instrument(telemetry=telemetry)
                assert tokentide.current_run_state().reason == "acmer"
    finally:
        tokentide.uninstrument()
        telemetry.close(1)


def test_asking_never_raises_whatever_it_is_asked() -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no")

        def __bool__(self) -> bool:
            raise RuntimeError("no")

    asked = Asked()
    strange: list[Any] = [None, "", "\ud800", "x" * 100_000, 7, b"r", object(), Hostile(), [], "\0"]
    try:
        for value in strange:
            assert asked.telemetry.run_state(value).state == "unknown"
            assert asked.telemetry.run_state("r", tenant=value).state == "unknown"
            assert asked.telemetry.budget(value).state == "unknown"
            with tokentide.context(run_id=value, tenant=value):
                assert asked.telemetry.run_state().state == "unknown"
    finally:
        asked.telemetry.close(1)
    assert asked.telemetry.run_state("r").state == "unknown", "also when it is closed"


def test_the_example_of_the_docs_stops_a_run_and_a_budget_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOKENTIDE_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    page = (ROOT / "docs" / "stopping.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    example: dict[str, Any] = {}
    exec(code, example)
    steps: list[int] = []
    telemetry = example["telemetry"]
    try:
        table = telemetry._producer.states()
        assert table is not None

        def research(run: str) -> Any:
            return example["research"](run, [lambda: steps.append(1)] * 3)

        assert research("r") is None
        table.apply(run_key("acme", "r").encode(), run_of("flagged", reason="dear"))
        assert research("r") is None
        assert len(steps) == 6
        table.apply(run_key("acme", "r").encode(), run_of("stop", reason="too dear"))
        assert research("r") == "too dear"
        assert len(steps) == 6
        assert research("q") is None
        table.apply(b"budget/research", budget_of(spent_pico_usd=101, period_end_us=1 << 52))
        assert research("q") == "the budget is spent"
        assert len(steps) == 9
    finally:
        telemetry.close(0)


def test_without_the_setting_nothing_is_read_and_the_answer_says_so() -> None:
    off: tuple[GivenSettings, ...] = ({}, {"read_control": True, "disabled": True})
    for settings in off:
        telemetry = Telemetry(sender=CaptureSender(), **settings)
        assert "TOKENTIDE_READ_CONTROL" in telemetry.run_state("r").reason
        assert "TOKENTIDE_READ_CONTROL" in telemetry.budget("b").reason
        assert not telemetry._producer.engine.is_started
        assert not telemetry.run_state("r").must_stop
        telemetry.close(1)
