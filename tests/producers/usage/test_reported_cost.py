"""The cost that answers report themselves: pico-dollars, source, and what is left out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx2
import pytest

from tests.fakes.openai_http import CHAT, answering, chat_sse, sse
from tests.golden.cases import load_cases
from tests.producers.instrument.openai_calls import ASK, client, only
from tokentide.testing import Capture
from tokentide.usage.flavour import flavour
from tokentide.usage.reported_cost import pico_usd

COUNTED = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
BYOK = {"is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}}


def reported(usage: dict[str, Any], api: str = "openai_chat") -> tuple[object, object]:
    """Return the reported cost of an answer with this usage."""
    fields = flavour(api).read_response({**CHAT, "usage": {**COUNTED, **usage}})
    return fields.get("reported_cost_pico_usd"), fields.get("reported_cost_source")


@pytest.mark.parametrize(
    ("usage", "picos", "source"),
    [
        ({"cost": 0.00482}, 4_820_000_000, "openrouter"),
        ({"cost": 1.96e-06}, 1_960_000, "openrouter"),
        ({"cost": 0}, 0, "openrouter"),
        ({"cost": "0.1"}, 100_000_000_000, "openrouter"),
        ({"cost": 0.1, "is_byok": False, **{"cost_details": {"upstream_inference_cost": 0.1}}},
         100_000_000_000, "openrouter"),
        ({"cost": 0.001, **BYOK}, 21_000_000_000, "openrouter"),
        ({"cost": 0, **BYOK}, 20_000_000_000, "openrouter"),
        ({"cost_in_usd_ticks": 37_756_000}, 3_775_600_000, "x_ai"),
        ({"cost_in_usd_ticks": 1}, 100, "x_ai"),
        ({"cost": {"total_cost": 0.006}}, 6_000_000_000, "perplexity"),
        ({"cost": {"currency": "USD", "total_cost": "0.006"}}, 6_000_000_000, "perplexity"),
    ],
)  # fmt: skip
def test_a_cost_is_read_to_the_pico_dollar(usage: dict[str, Any], picos: int, source: str) -> None:
    for api in ("openai_chat", "openai_responses", "openai_embeddings", "openai_images"):
        assert reported(usage, api) == (picos, source), api


NO_COSTS: tuple[object, ...] = (
    *(None, -0.1, float("nan"), float("inf"), True, "much", [1], {}, ""),
    *("1e9999999", 10**5000, 9001, "9" * 99, "1_000"),
)


@pytest.mark.parametrize(
    "usage",
    [
        {},
        *({"cost": value} for value in NO_COSTS),
        *({"cost_in_usd_ticks": value} for value in (-1, 1.5e300, "x", True, 9 * 10**13 + 1)),
        {"cost": {"total_cost": -1}},
        {"cost": {"currency": "EUR", "total_cost": 0.006}},
        # With a key of one's own the fee alone is not what the call costs.
        {"cost": 0.001, "is_byok": True},
        {"cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": None}},
    ],
)
def test_what_is_no_cost_of_the_whole_call_is_left_out(usage: dict[str, Any]) -> None:
    assert reported(usage) == (None, None)


@pytest.mark.parametrize("number", [0.1 + 0.2, 1e-12, 0.07, 123.456789012345, 8299.697062229])
def test_a_float_counts_as_the_decimal_that_its_writer_wrote(number: float) -> None:
    assert pico_usd(number) == round(Decimal(repr(number)) * 10**12)


@pytest.mark.parametrize(
    ("base_url", "source"),
    [
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://eu.openrouter.ai/api/v1", "openrouter"),
        ("https://api.groq.com/openai/v1", None),
        ("https://notopenrouter.ai/v1", None),
        ("http://127.0.0.1:4000/v1", None),
    ],
)
@pytest.mark.parametrize("is_stream", [False, True])
def test_a_bare_cost_means_something_at_openrouter_alone(
    capture: Capture, base_url: str, source: str | None, is_stream: bool
) -> None:
    usage = {**COUNTED, "cost": 0.0025}
    answer = (
        sse(chat_sse(usage=usage))
        if is_stream
        else httpx2.Response(200, json={**CHAT, "usage": usage})
    )
    api = client(base_url=base_url, http_client=answering(lambda _request: answer))
    made = api.chat.completions.create(**ASK, stream=is_stream)
    if is_stream:
        list(made)
    event = only(capture)
    assert (event["input_tokens"], event.get("reported_cost_source")) == (10, source)
    assert event.get("reported_cost_pico_usd") == (2_500_000_000 if source else None)


@pytest.mark.parametrize(
    ("asked", "source"),
    [
        ({"provider": "OpenRouter"}, "openrouter"),
        ({"provider": "openai", "server_address": "openrouter.ai"}, "openrouter"),
        ({"provider": "openai"}, None),
    ],
)
def test_a_recorded_response_follows_the_same_rule(
    capture: Capture, asked: dict[str, Any], source: str | None
) -> None:
    with capture.telemetry.request(request_model="m", **asked) as call:
        call.record_response({**CHAT, "usage": {**COUNTED, "cost": 0.0025}})
    assert only(capture).get("reported_cost_source") == source


def test_what_golden_answers_say_of_their_cost_agrees_with_ours() -> None:
    reported = [case for case in load_cases() if "reported_cost_source" in case.expect]
    assert {case.expect["reported_cost_source"] for case in reported} == {
        "openrouter", "perplexity", "x_ai",
    }  # fmt: skip
    assert {case.stream is None for case in reported} == {True, False}
    for case in reported:
        fee = 2_325_000_000 if case.name == "openrouter_own_key" else 0
        assert case.expect["reported_cost_pico_usd"] == (case.expect_cost_pico_usd or 0) + fee
