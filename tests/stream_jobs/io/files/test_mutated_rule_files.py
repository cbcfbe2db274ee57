"""Whatever stands in a file of rules: it is taken whole or refused by a ConfigError."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.each import each
from tokentide_jobs.core.decide.budget_book import BudgetBook
from tokentide_jobs.core.decide.decisions import Decisions
from tokentide_jobs.core.decide.states import states_of
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.files import budget_file
from tokentide_jobs.io.files.alert_file import parse_alert_file
from tokentide_jobs.io.files.budget_file import parse_budgets
from tokentide_jobs.io.files.detect_file import parse_detect_rules
from tokentide_jobs.io.files.price_overrides import parse_price_file
from tokentide_jobs.io.files.slo_file import parse_slos
from tokentide_jobs.jobs.detect.rule_files import RuleFiles

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW_US = 1_795_000_000_000_000

DETECT = """
run_guard: {repeats: 9, rate_start_usd: 5}
anomalies: {settle_seconds: 1, levels: [[tenant], [provider, model]], silent_days: 1}
"""
ALERTS = """
alerts: {page_usd_per_hour: 12.50, flaps: 3}
notify:
  - {name: oncall, kind: webhook, url: "https://h/x", secret_env: HOOK_SECRET, severity: page}
  - {name: chat, kind: slack, url_env: SLACK_URL}
  - {name: other, kind: slack, url: "http://i/"}
"""
BUDGETS = """
budgets:
  - {name: search team, scope: {team: search}, period: month, amount_usd: 1200.50, kind: hard}
  - {name: key, scope: {key: key-7}, period: day, amount_usd: "0.01", thresholds: [100, 10]}
"""
SLOS = """
slos:
  - {name: a, good: {errors: none, rate_limit: bad}, objective: 99, window_days: 9, burn: [6]}
  - {name: b, good: {latency_ms: 2000}, scope: {team: x}, objective: 95, window_days: 7}
"""
OVERRIDES = """
overrides:
  - {provider: openai, model: x, valid_from: 2026-01-01, rates: {input_mtok: 1.5}, reason: new}
  - {provider: openai, model: y, tenant: acme, multiplier: 0.9, reason: contract}
aliases:
  - {provider: aws.bedrock, name: "arn:*:profile/x", model: us.amazon.nova-lite-v1:0, reason: a}
"""


def alerts(content: bytes, name: str) -> object:
    return parse_alert_file(content, name, {"HOOK_SECRET": SECRET, "SLACK_URL": "https://h/s"})


FILES: list[tuple[str, Callable[[bytes, str], Any]]] = [
    (DETECT, parse_detect_rules), (ALERTS, alerts), (BUDGETS, parse_budgets),
    (SLOS, parse_slos), (OVERRIDES, parse_price_file),
]  # fmt: skip
PIECES = (
    "[", "]", "{", "}", ": ", ", ", "- ", "\n", "  ", "'", '"', "~", "null", "true", "!!int x",
    "!!python/object:os.system {a: b}", "&a [*a]", "*a", "[[tenant, model]]", "[{tenant: x}]",
    '"\\ud83d"', '"a\\0b"', '"\\U00110000"', '"\\UFFFFFFFF"', "1e999", "-1", "9" * 5_000, ".nan",
    "۱۲", "²", "~no_such_user/x", "http://a..b/x", "http://" + "a" * 64 + ".example/", "http://[::1",
    "https://[fe80::1%25]/", "x" * 600, "2026-13-45", "0x10", "\x00",
    "\ufeff", "? a", "<<: {a: b}", "|\n  a", "%TAG", "---", "...",
)  # fmt: skip


def mutated(text: str, chance: Random) -> bytes:
    for _ in range(chance.randrange(1, 3)):
        cut = sorted(chance.choices(range(len(text) + 1), k=2))
        match chance.randrange(4):
            case 0:
                text = text[: cut[0]] + text[min(cut[1], cut[0] + 8) :]
            case 1:
                text = text[: cut[0]] + chance.choice(PIECES) + text[cut[0] :]
            case _:  # a whole value becomes something else
                ends = [n for n, one in enumerate(text) if one in ",}]\n"]
                begins = [n + 2 for n in range(len(text)) if text[n : n + 2] in (": ", ", ", "- ")]
                begin = chance.choice(begins or [0])
                end = min((n for n in ends if n >= begin), default=len(text))
                text = text[:begin] + chance.choice(PIECES) + text[end:]
    content = bytearray(text.encode("utf-8", "surrogatepass"))
    if chance.random() < 0.1 and content:
        content[chance.randrange(len(content))] = chance.randrange(256)
    return bytes(content)


@pytest.mark.parametrize(("text", "parse"), FILES)
def test_a_mutated_file_is_taken_or_refused(
    text: str, parse: Callable[[bytes, str], object]
) -> None:
    chance, refused = Random(7), 0
    parse(text.encode(), "f")
    for _ in range(150):
        content = mutated(text, chance)
        try:
            parse(content, "f")
        except ConfigError as exc:
            str(exc).encode()  # it can be printed
            refused += 1
    assert refused > 40


@pytest.mark.parametrize("content", [b"[" * 900, b"{a: " * 900, b'a: "\\UFFFFFFFF"'])
def test_what_no_reader_of_yaml_takes_is_refused(content: bytes) -> None:
    with pytest.raises(ConfigError, match="not valid YAML"):
        parse_detect_rules(content, "f")


@each(
    "changed",
    [
        ("search team", "n" * 256), ("search team", "n" * 257), ("search team", "n" * 512),
        ("team: search", f"team: {'v' * 256}"), ("team: search", f"team: {'v' * 257}"),
        ("key-7", "k" * 300), ("[100, 10]", str(list(range(1, 65)))),
        ("[100, 10]", str(list(range(1, 66)))), ("1200.50", "999999999999.999999999999"),
        ("search team", "a/b%20\u00e9"),
    ],
)  # fmt: skip
def test_a_budget_that_is_taken_has_a_state_that_can_be_said(changed: tuple[str, str]) -> None:
    try:
        budgets = parse_budgets(BUDGETS.replace(*changed).encode(), "budgets.yaml")
    except ConfigError as exc:
        assert "1 to 256 characters" in str(exc) or "1 to 64 different" in str(exc)
        return
    book, refused = BudgetBook(), list[str]()
    book.replace(budgets)
    for budget in budgets:
        book.seed(budget.name, {}, [])
    states = states_of(Decisions(budgets=book.reported(NOW_US, 0)), {}, refused.append)
    assert (len(states), refused) == (2, [])


def test_a_reader_that_fails_by_a_defect_ends_no_worker_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "budgets.yaml"
    path.write_text(BUDGETS)
    files = RuleFiles(None, path)

    def fail(_content: bytes, _name: str) -> None:
        raise TypeError("unhashable type")

    monkeypatch.setattr(budget_file, "parse_budgets", fail)
    path.write_text(BUDGETS + "\n")
    assert not files.changed()
    assert "unhashable type" in files.problem
    assert len(files.in_force.budgets) == 2
