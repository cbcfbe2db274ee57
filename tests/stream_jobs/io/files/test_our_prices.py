"""Our own prices: sourced, dated, never two at once, and none that the pinned list has by now."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from itertools import combinations

import pytest
from genai_prices import data

from tokentide_jobs.core.price.cards import PriceCorrection
from tokentide_jobs.core.price.lookup import Price, resolve
from tokentide_jobs.core.price.matching import glob_pattern
from tokentide_jobs.core.price.price_corrections import UNSPECIFIED, place_entries
from tokentide_jobs.core.price.vocabulary import CallTerms
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.files.our_prices import parse_corrections
from tokentide_jobs.io.files.price_source import NOT_OFFERED, PINNED_RELEASE, compile_cards

CARDS = compile_cards()
LIST = replace(CARDS, corrections=())
RATES = [entry for entry in CARDS.corrections if entry.rates]
PLACES = [entry for entry in CARDS.corrections if entry.places]
EVER = 1 << 62


def example(pattern: str) -> str:
    """Return a name that a pattern is for: a fine-tuned model's, or the pattern without stars."""
    return pattern.replace("*", "024-08-06:org::id" if pattern.startswith("ft:") else "")


def priced(entry: PriceCorrection, pattern: str, cards: object, **call: str) -> Price:
    provider = "gcp.vertex_ai" if entry.provider == "*vertex*" else entry.provider
    assert isinstance(cards, type(CARDS))
    terms = CallTerms(provider=provider, request_model=example(pattern), **call)
    return resolve(cards, terms, entry.known_since_us)


@pytest.mark.parametrize("entry", RATES, ids=lambda e: f"{e.provider}-{e.models[0]}")
def test_an_entry_goes_when_the_list_has_caught_up(entry: PriceCorrection) -> None:
    for pattern in entry.models:
        ours, listed = priced(entry, pattern, CARDS), priced(entry, pattern, LIST)
        assert {unit: ours.rates[unit] for unit in entry.rates} == entry.rates, ours.rule
        same = all(listed.rates.get(unit) == rate for unit, rate in entry.rates.items())
        assert not same, f"genai-prices has {pattern} by now: take the entry out"


def test_an_entry_of_places_goes_when_the_list_charges_by_place() -> None:
    for entry in PLACES:
        place = next((p for p in entry.places if p not in ("*", UNSPECIFIED)), "nowhere")
        call = {"inference_geo": place.replace("*", "1")}
        for provider in CARDS.providers:
            names = (provider.provider, "gcp.vertex_ai")[: 1 + (provider.provider == "google")]
            for model in provider.models:
                if entry not in place_entries(CARDS, names, model.model.lower(), EVER):
                    continue
                terms = CallTerms(provider=names[-1], request_model=model.model.lower(), **call)
                listed = resolve(LIST, terms, entry.known_since_us)
                assert "inference_geo=" not in listed.rule.partition("!")[0], listed.rule


def test_every_model_of_bedrock_has_its_places() -> None:
    models = [model.model.lower() for model in CARDS.provider_by_id["aws"].models]
    names = [name.removeprefix("regional.") for name in models]
    assert [name for name in names if not place_entries(CARDS, ("aws",), name, EVER)] == []


def test_no_two_entries_give_rates_to_one_name_at_once() -> None:
    def span(entry: PriceCorrection) -> tuple[int, int]:
        start = -EVER if entry.valid_from_us is None else entry.valid_from_us
        return start, EVER if entry.valid_to_us is None else entry.valid_to_us

    for one, other in combinations(RATES, 2):
        (a_from, a_to), (b_from, b_to) = span(one), span(other)
        if one.provider != other.provider or a_to <= b_from or b_to <= a_from:
            continue
        if (one.is_fee or other.is_fee) and not one.rates.keys() & other.rates.keys():
            continue  # fees are added to other rates
        shared = [p for p in one.models for q in other.models if glob_pattern(q)(example(p))]
        shared += [q for q in other.models for p in one.models if glob_pattern(p)(example(q))]
        assert shared == []


def test_spans_are_half_open() -> None:
    first, second = (e for e in RATES if e.models[0] == "deepseek-chat")
    assert first.valid_to_us == second.valid_from_us
    assert second.valid_from_us is not None
    assert not first.is_active(second.valid_from_us)
    assert first.is_active(second.valid_from_us - 1)
    assert second.is_active(second.valid_from_us)


@pytest.mark.parametrize("at_us", [1_757_087_999_999_999, 1_757_088_000_000_000])
def test_a_corrected_name_keeps_the_price_of_the_list_before_its_date(at_us: int) -> None:
    terms = CallTerms(provider="deepseek", request_model="deepseek-chat")
    rate = resolve(CARDS, terms, at_us).rates["input_tokens"].base
    assert rate == (270_000 if at_us < 1_757_088_000_000_000 else 560_000)


def test_units_an_entry_does_not_name_keep_the_price_of_the_list() -> None:
    terms = CallTerms(provider="openai", request_model="gpt-4o-audio-preview")
    rates = resolve(CARDS, terms, EVER).rates
    assert (rates["input_tokens"].base, rates["input_audio_tokens"].base) == (2_500_000, 40_000_000)


def test_the_day_of_the_pinned_release_is_that_of_the_installed_one() -> None:
    assert PINNED_RELEASE[0] == version("genai-prices")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- {provider: a, models: [b], source: https://x, checked: 2026-01-01}", "give either"),
        (
            "- {provider: a, models: [b], rates: {input: 1}, source: said so, checked: 2026-01-01}",
            "no https address",
        ),
        (
            "- {provider: a, models: b, rates: {input: 1}, source: https://x, checked: 2026-01-01}",
            "models: expected a list",
        ),
        ("- {provider: a, models: [b], rates: {input: 1}, source: https://x}", "checked: missing"),
        (
            "- {provider: a, models: [b], places: [c], source: https://x, checked: 2026-01-01}",
            "give either rates, or places with a multiplier",
        ),
    ],
)
def test_an_entry_without_its_due_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        parse_corrections(text.encode())


def test_a_model_that_its_maker_does_not_sell_is_on_the_list_and_goes_when_the_list_drops_it() -> (
    None
):
    for provider, model in NOT_OFFERED:
        [listed] = [one for one in data.providers if one.id == provider]
        assert model in [one.id for one in listed.models], f"take {model} out of NOT_OFFERED"
