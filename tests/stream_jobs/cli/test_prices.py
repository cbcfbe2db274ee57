"""`tokentide prices` and `explain` show the prices the pipeline applies, to the last digit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tokentide_jobs.cli.main import main
from tokentide_jobs.core.money import format_usd
from tokentide_jobs.core.price.compare import compare, list_only, sample_name
from tokentide_jobs.core.price.explain import explanation, quoted_rate
from tokentide_jobs.io.files.price_source import compile_cards

OVERRIDES = """\
overrides:
  - {provider: anthropic, model: claude-sonnet-4-5*, multiplier: 0.9, reason: discount}
  - {provider: vllm, model: llama-3.3-*, rates: {input: 0.2, output: 0.6}, reason: own}
  - {provider: anthropic, model: claude-sonnet-4-5*, tenant: acme, multiplier: 0.5, reason: deal}
  - {provider: openai, model: o3, processing: batch, multiplier: 0.8, reason: "[/] batch"}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command in an empty data directory with the overrides above."""
    path = tmp_path / "prices.yaml"
    path.write_text(OVERRIDES)
    for name in ("TOKENTIDE_CLICKHOUSE_URL", "TOKENTIDE_KAFKA_BOOTSTRAP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TOKENTIDE_PRICES_FILE", str(path))
    monkeypatch.setenv("TOKENTIDE_DATA_DIR", str(tmp_path / "data"))

    def invoke(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return invoke


def test_show_lists_the_lists_and_the_overrides(run: Any) -> None:
    code, out, _ = run("prices", "show")
    assert code == 0
    assert "openrouter" in out
    assert "x 0.9" in out
    assert "x 0.8 [processing=batch]" in out
    assert "[/] batch" in out


def test_show_gives_rates_with_tiers_and_overrides_applied(run: Any) -> None:
    code, out, _ = run("prices", "show", "--provider", "anthropic", "--model", "claude-sonnet-4-5")
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[2][:6] == ["anthropic/claude-sonnet-4-5", "2.7", "0.27", "3.375", "5.4", "13.5"]
    assert ["above", "200,000", "input", "tokens", "5.4", "0.54"] in [line[:6] for line in lines]
    _, out, _ = run("prices", "show", "--model", "claude-sonnet-4-5", "--tenant", "acme")
    assert ["anthropic/claude-sonnet-4-5", "1.35"] in [
        line.split()[:2] for line in out.splitlines()
    ]


def test_show_of_nothing_says_how_to_look(run: Any) -> None:
    code, _, err = run("prices", "show", "--model", "gpt-99")
    assert code == 2
    assert "patterns need *" in err


def test_explain_walks_from_the_name_to_the_total(run: Any) -> None:
    code, out, _ = run(
        "prices", "explain", "claude-sonnet-4-5",
        "--input-tokens", "300000", "--cache-read-tokens", "200000", "--output-tokens", "10",
        "--at", "2026-11-19",
    )  # fmt: skip
    assert code == 0
    assert "override:2 (discount): every rate x 0.9" in out
    assert "300,000 input tokens: long-context rates above 200,000 hold" in out
    assert "cost: 0.6482025 USD = 648,202,500,000 pico-USD" in out
    assert "status override" in out


def test_explain_finds_ones_own_models_without_a_provider(run: Any) -> None:
    code, out, _ = run("prices", "explain", "llama-3.3-70b")
    assert code == 0
    assert "also listed by cerebras" in out
    assert "rule override:3" in out


def test_explain_of_an_unknown_model_or_impossible_usage_is_refused(run: Any) -> None:
    code, _, err = run("prices", "explain", "gpt-99")
    assert (code, "no price list has a model 'gpt-99'" in err) == (2, True)
    code, _, err = run("prices", "explain", "gpt-4o", "--cache-read-tokens", "1000001")
    assert (code, "--cache-read-tokens 1000001 exceeds input_tokens" in err) == (2, True)


def test_diff_shows_what_the_overrides_change(run: Any) -> None:
    code, out, _ = run("prices", "diff", "--at", "2026-11-19")
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    anthropic = ["anthropic", "claude-sonnet-4-5", "input_tokens"]
    found = {row[0]: row[4:] for row in rows if row[1:4] == anthropic}
    assert [cell for cell in found["*"] if cell.startswith("-")] == ["-10.0%"]
    assert [cell for cell in found["acme"] if cell.startswith("-")] == ["-55.0%"]
    assert ["*", "vllm", "llama-3.3-*", "input_tokens", "-", "0.2"] in rows


def test_a_bad_overrides_file_stops_every_command_with_all_its_lines(
    run: Any, tmp_path: Path
) -> None:
    (tmp_path / "prices.yaml").write_text("- {provider: a}\n- 3\n")
    code, _, err = run("prices", "show")
    assert code == 2
    assert f"{tmp_path}/prices.yaml:1: model: missing\n" in err
    assert f"{tmp_path}/prices.yaml:2: an entry: expected fields" in err


def test_reprice_and_explain_refuse_what_can_not_be(run: Any) -> None:
    code, _, err = run("reprice", "--from", "2026-11-20", "--to", "2026-11-20")
    assert (code, "is not before --to" in err) == (2, True)
    code, _, err = run("explain", "not-a-uuid")
    assert (code, "expected a UUID" in err) == (2, True)


def test_every_listed_model_has_a_name_that_finds_it() -> None:
    cards = compile_cards()
    lost = [
        (provider.provider, model.model)
        for provider in cards.providers
        for model in provider.models
        if not sample_name(provider.provider, model, cards)
    ]
    assert lost == []


def test_a_table_does_not_differ_from_itself() -> None:
    cards = compile_cards()
    assert compare(cards, list_only(cards), 1_795_046_400_000_000) == []


def explained(**event: Any) -> list[str]:
    event = {"started_at_us": 1_795_046_400_000_000, "provider": "openai", "status": "ok"} | event
    return list(explanation(event, compile_cards()).lines)


def test_an_explanation_says_what_was_not_billed() -> None:
    lines = explained(request_model="text-embedding-3-small", input_tokens=5, output_tokens=2)
    assert "output             2 has no price and is not billed" in lines
    lines = explained(
        request_model="gpt-4o-mini-audio-preview", input_tokens=9, input_audio_tokens=9
    )
    assert any("(no price of its own: rate of input_tokens)" in line for line in lines)
    lines = explained(request_model="gpt-4o", other_units={"lamps": 1}, input_tokens=1)
    assert "some other_units have no price of their own" in lines


def test_an_explanation_of_failures_and_missing_usage_says_so() -> None:
    assert any(
        "it cost nothing" in line for line in explained(request_model="gpt-4o", status="error")
    )
    lines = explained(request_model="gpt-4o", usage_source="missing")
    assert "cost: unknown (null)" in lines


def test_an_explanation_agrees_with_its_own_lines() -> None:
    event = {
        "started_at_us": 1_795_046_400_000_000,
        "provider": "anthropic",
        "request_model": "claude-opus-4-6",
        "status": "ok",
        "input_tokens": 1_000,
        "cache_read_tokens": 900,
        "output_tokens": 10,
    }
    made = explanation(event, compile_cards())
    assert made.priced["cost_pico_usd"] == 100 * 5_000_000 + 900 * 500_000 + 10 * 25_000_000
    assert "cache read           900 x 0.5 USD/Mtok = 0.00045 USD" in made.lines


@pytest.mark.parametrize(
    ("pico_usd", "text"),
    [(0, "0.0"), (1, "0.000000000001"), (-25 * 10**11, "-2.5"), (1_234 * 10**12, "1,234.0")],
)
def test_amounts_are_written_exactly(pico_usd: int, text: str) -> None:
    assert format_usd(pico_usd) == text


def test_rates_are_written_as_they_are_quoted() -> None:
    assert quoted_rate("input_tokens", 2_500_000) == "2.5 USD/Mtok"
    assert quoted_rate("input_tokens", 3_000_000_000) == "3000 USD/Mtok"
    assert quoted_rate("web_searches", 10_000_000_000) == "10 USD/1,000"
    assert quoted_rate("audio_seconds", 30_833_333) == "0.000030833333 USD/s"
