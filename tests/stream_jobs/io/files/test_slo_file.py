"""slos.yaml: taken whole or refused whole, and nothing that could never fire."""

from __future__ import annotations

import pytest

from tests.each import each
from tokentide_jobs.core.slo.slo import Good
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.files.slo_file import load_slos, parse_slos


def entry(**changed: str) -> bytes:
    fields = {"name": "api", "good": "{errors: none}", "objective": "99.5", "window_days": "30"}
    pairs = (f"{key}: {value}" for key, value in {**fields, **changed}.items() if value)
    return f"slos:\n- {{{', '.join(pairs)}}}\n".encode()


def test_every_kind_of_good_is_read() -> None:
    found = [
        parse_slos(entry(good=good), "f")[0].good
        for good in (
            "{errors: none}", "{errors: none, rate_limit: apart}", "{latency_ms: 2500}",
            "{ttft_ms: 800}", "{quality: 0.8}",
        )
    ]  # fmt: skip
    assert found == [
        Good(what="errors"), Good(what="errors", counts_rate_limit=False),
        Good(what="latency_ms", limit=2_500), Good(what="ttft_ms", limit=800),
        Good(what="quality", limit=0.8),
    ]  # fmt: skip


def test_scope_burn_and_least_events_are_read() -> None:
    (slo,) = parse_slos(
        entry(scope="{model: gpt-5, tenant: acme}", burn="[1, 6]", least_events="10"), "f"
    )
    assert slo.scope == (("tenant", "acme"), ("model", "gpt-5"))
    assert (slo.factors, slo.least_events, slo.objective) == ((6.0, 1.0), 10, 0.995)


@each(
    ("changed", "reason"),
    [
        ({"objective": "90"}, "f:2: objective: at 90 % burn is at most 10x, so that 14.4 could "
                              "never fire; give more than 93.06 %, or leave it out of `burn`"),
        ({"objective": "100"}, "objective: '100' is no number from 1 to 99.9999"),
        ({"window_days": "1.5"}, "window_days: '1.5' is no whole number from 1 to 90"),
        ({"good": "{}"}, "good: give exactly one of errors, latency_ms, ttft_ms, quality"),
        ({"good": "{errors: some}"}, "errors: expected none"),
        ({"good": "{latency_ms: 0}"}, "latency_ms: '0' is no number from 1 to"),
        ({"good": "{latency_ms: 5, rate_limit: bad}"}, "latency_ms does not look at errors"),
        ({"good": "{errors: none, rate_limit: maybe}"}, "'maybe' is none of bad, apart"),
        ({"scope": "{user: u1}"}, "user: unknown in scope"),
        ({"scope": "{model: gpt-*}"}, "'gpt-*' is a pattern"),
        ({"burn": "[2]"}, "burn: expected some of 14.4, 6, 3, 1, each once"),
        ({"name": ""}, "f:2: name: missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(changed: dict[str, str], reason: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_slos(entry(**changed), "f")
    assert reason in str(refused.value)


def test_an_objective_may_be_low_where_the_fast_rules_are_left_out() -> None:
    assert parse_slos(entry(objective="90", burn="[6, 3, 1]"), "f")[0].factors == (6.0, 3.0, 1.0)


def test_two_of_one_name_are_refused() -> None:
    twice = entry() + entry().split(b"\n", 1)[1]
    with pytest.raises(ConfigError, match="f:3: name: 'api' is the SLO of line 2"):
        parse_slos(twice, "f")


def test_without_a_file_the_setting_is_named() -> None:
    with pytest.raises(ConfigError, match="TOKENTIDE_SLOS_FILE is not set"):
        load_slos(None)
