"""What stands where a code, a kind of error or a reason belongs is stored only if it is one."""

from __future__ import annotations

import pytest

from tests.stream_jobs.core.outcome.batches import event, processed
from tokentide import error_codes, finish
from tokentide_jobs.core.outcome.outcome import Outcome
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.tables import RAW_REQUESTS, RAW_TABLES
from tokentide_jobs.io.files.price_source import compile_cards

TEXTS = (
    "The patient Anna Weber asked", "no spaces\n", "rate limit", "https://host/path", "schlüssel",
    "a" * 65, "{code}", " ",
)  # fmt: skip


@pytest.fixture(scope="module")
def cards() -> CardTable:
    return compile_cards()


def codes(outcome: Outcome, name: str = "error_code") -> list[str]:
    return outcome.raw[RAW_REQUESTS][name].to_list()


@pytest.mark.parametrize("spare", [{}, {"input_tokens": 5.0}], ids=["columns", "judge"])
def test_a_text_in_the_place_of_a_code_is_cleared_and_counted_and_the_event_stays(
    cards: CardTable, spare: dict[str, float]
) -> None:
    values = [event(status="error", error_code=text, **spare) for text in TEXTS]
    outcome = processed(cards, *values, event(status="error", error_code="429"), event())
    assert codes(outcome) == [*[""] * len(TEXTS), "429", ""]
    assert outcome.cleared_codes == len(TEXTS)
    assert outcome.dead_letter_count == 0


def test_every_code_that_the_sdk_passes_on_is_stored(cards: CardTable) -> None:
    known = sorted(error_codes._KNOWN)
    assert len(known) > 100
    outcome = processed(cards, *(event(status="error", error_code=code) for code in known))
    assert (codes(outcome), outcome.cleared_codes) == (known, 0)


def test_codes_with_every_character_that_codes_have_are_stored(cards: CardTable) -> None:
    given = ["a:b", "E-1.2_x", "Z" * 64, "0"]
    outcome = processed(cards, *(event(status="error", error_code=code) for code in given))
    assert (codes(outcome), outcome.cleared_codes) == (given, 0)


@pytest.mark.parametrize("spare", [{}, {"input_tokens": 5.0}], ids=["columns", "judge"])
def test_a_text_in_the_place_of_a_kind_of_error_is_stored_as_unknown_and_counted(
    cards: CardTable, spare: dict[str, float]
) -> None:
    values = [event(status="error", error_type=text, **spare) for text in TEXTS]
    outcome = processed(cards, *values, event(status="error", error_type="rate_limit"), event())
    assert codes(outcome, "error_type") == [*["unknown"] * len(TEXTS), "rate_limit", ""]
    assert outcome.cleared_codes == len(TEXTS)
    assert outcome.dead_letter_count == 0


def test_words_numbers_and_classes_are_kinds_of_errors(cards: CardTable) -> None:
    given = ["RateLimitError", "java.net.SocketTimeoutException", "std::bad_alloc", "_OTHER", "429"]
    outcome = processed(cards, *(event(status="error", error_type=kind) for kind in given))
    assert (codes(outcome, "error_type"), outcome.cleared_codes) == (given, 0)


def test_the_kind_of_error_of_an_evaluation_is_held_to_the_same(cards: CardTable) -> None:
    judged = {"type": "evaluation", "name": "faithfulness", "response_id": "r", "score": 0.5}
    texts = [event(error_type=text, **judged) for text in TEXTS]
    outcome = processed(cards, *texts, event(error_type="timeout", **judged))
    stored = outcome.raw[RAW_TABLES["evaluation"]]["error_type"].to_list()
    assert stored == [*["unknown"] * len(TEXTS), "timeout"]
    assert outcome.cleared_codes == len(TEXTS)


@pytest.mark.parametrize("spare", [{}, {"input_tokens": 5.0}], ids=["columns", "judge"])
def test_a_text_among_the_reasons_why_a_model_stopped_goes_and_the_words_stay(
    cards: CardTable, spare: dict[str, float]
) -> None:
    given = [
        *([text] for text in TEXTS),
        ["stop", "The patient Anna Weber asked", "end_turn", "stop"],
        ["other", "MAX_TOKENS", "tool-calls", "a" * 64],
        ["Stop"],
        [],
    ]
    outcome = processed(cards, *(event(finish_reasons=reasons, **spare) for reasons in given))
    assert outcome.raw[RAW_REQUESTS]["finish_reasons"].to_list() == [
        *[["other"]] * len(TEXTS),
        ["stop", "end_turn", "stop"],
        ["other", "MAX_TOKENS", "tool-calls", "a" * 64],
        ["other"],
        [],
    ]
    assert outcome.cleared_codes == len(TEXTS) + 2
    assert outcome.dead_letter_count == 0


def test_every_reason_that_the_sdk_passes_on_is_stored(cards: CardTable) -> None:
    known = sorted(finish._WORDS)
    assert len(known) > 60
    outcome = processed(cards, event(finish_reasons=known))
    assert outcome.raw[RAW_REQUESTS]["finish_reasons"].to_list() == [known]
