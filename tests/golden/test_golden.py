"""Every documented payload becomes the right counts and the right cost, in whatever form."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any

import pytest

from tests.each import each
from tests.golden.cases import Case, load_cases
from tests.golden.document import DOCUMENT, document
from tests.golden.forms import as_attributes, sdk_builder
from tests.golden.pricing import all_priced, event_of, judged
from tokentide.usage.flavour import FLAVOUR_NAMES, flavour, for_provider

CASES = load_cases()
every_case = each("case", CASES, ids=lambda case: case.id)


def extracted(case: Case, form: Callable[[Any], object]) -> dict[str, object]:
    reader = flavour(case.flavour)
    if case.stream is None:
        return reader.read_response(form(case.response))
    reading = reader.read_stream()
    for chunk in case.stream:
        reading.add(form(chunk))
    return reading.fields()


@every_case
def test_parsed_json_gives_the_expected_fields(case: Case) -> None:
    assert extracted(case, lambda payload: payload) == case.expect


@every_case
def test_objects_with_attributes_give_the_expected_fields(case: Case) -> None:
    assert extracted(case, as_attributes) == case.expect


@pytest.mark.parametrize("name", FLAVOUR_NAMES)
def test_the_client_librarys_own_types_give_the_expected_fields(name: str) -> None:
    @each("case", [case for case in CASES if case.flavour == name], ids=lambda case: case.id)
    def check(case: Case) -> None:
        build = sdk_builder(name, is_stream=case.stream is not None)
        if build is None:
            pytest.skip(f"no client library installed for {name}")
        assert extracted(case, build) == case.expect

    check()


@each(
    "case",
    [case for case in CASES if case.stream is None and flavour(case.flavour).condense],
    ids=lambda case: case.id,
)
def test_an_answer_made_light_says_the_same(case: Case) -> None:
    reader, build = flavour(case.flavour), sdk_builder(case.flavour, is_stream=False)
    assert reader.condense is not None
    assert build is not None
    for response in (build(case.response), case.response):
        assert reader.read_response(reader.condense(response)) == case.expect


@pytest.mark.parametrize("name", ["openai_chat", "anthropic_messages"])
def test_most_documented_answers_can_be_made_light(name: str) -> None:
    condense, build = flavour(name).condense, sdk_builder(name, is_stream=False)
    assert condense is not None
    assert build is not None
    cases = [
        case
        for case in CASES
        if case.flavour == name and case.provider in ("openai", "anthropic") and case.stream is None
    ]
    light = [case.id for case in cases if type(condense(build(case.response))) is tuple]
    assert len(light) > len(cases) / 2, light


@cache
def verdicts() -> dict[str, dict[str, Any]]:
    """Return what pricing says of each case whose fields are the expected ones, by its id."""
    return dict(zip(
        (case.id for case in CASES),
        all_priced(event_of(case, case.expect) for case in CASES),
        strict=True,
    ))  # fmt: skip


@every_case
def test_the_event_is_accepted_and_costs_what_the_public_prices_say(case: Case) -> None:
    judged(event_of(case, case.expect))
    verdict = verdicts()[case.id]
    assert verdict["cost_pico_usd"] == case.expect_cost_pico_usd
    assert verdict["price_status"] == case.expect_price_status


TERM = r"([\d,.]+) x ([\d.]+)( per 1,000)?"
SUM = re.compile(rf"({TERM}(?: \+ {TERM})*) USD/Mtok = ([\d.]+) USD")


@each("case", [case for case in CASES if SUM.match(case.cost_note)], ids=lambda case: case.id)
def test_the_arithmetic_of_the_note_comes_to_the_cost(case: Case) -> None:
    found = SUM.match(case.cost_note)
    assert found is not None
    usd = Decimal(0)
    for amount, rate, is_per_thousand in re.findall(TERM, found[1]):
        usd += Decimal(amount.replace(",", "")) * Decimal(rate).scaleb(
            -3 if is_per_thousand else -6
        )
    assert usd == Decimal(found.groups()[-1])
    assert usd.scaleb(12) == case.expect_cost_pico_usd


@each("case", [case for case in CASES if case.request], ids=lambda case: case.id)
def test_the_arguments_of_the_call_give_the_expected_fields(case: Case) -> None:
    assert flavour(case.flavour).read_request(case.request) == case.expect_request


@each("case", [case for case in CASES if case.stream is None], ids=lambda case: case.id)
def test_a_response_alone_finds_its_flavour(case: Case) -> None:
    found = for_provider(case.provider, case.response)
    # What another flavour reads the same way is found as well as the flavour itself.
    assert found.read_response(case.response) == case.expect, found.name


def test_the_table_of_providers_is_what_the_cases_say() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(CASES), (
        "docs/providers.md is stale: run python -m tests.golden.document"
    )
