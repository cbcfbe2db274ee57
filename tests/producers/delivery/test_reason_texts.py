"""A text in the place of reasons why a model stopped does not leave; words do."""

from __future__ import annotations

import pytest

from tests.producers.delivery.test_encoding import Fixture as Encoding


@pytest.fixture
def encode() -> Encoding:
    return Encoding()


@pytest.mark.parametrize(
    ("given", "sent"),
    [(["Anna Weber asked"], ["other"]), (["stop", "Anna Weber asked"], ["stop"]),
     ("Anna Weber asked", ["other"]), ("stop", ["stop"]), ({"Anna": "Weber asked"}, ["other"]),
     (["stop"] * 129, ["stop"] * 128)],
)  # fmt: skip
def test_a_text_among_the_reasons_why_a_model_stopped_does_not_leave(
    encode: Encoding, given: object, sent: list[str]
) -> None:
    event = encode.request(finish_reasons=given)
    assert event["finish_reasons"] == sent
    assert encode.counters.fields_altered == 1
    assert "Anna" not in str(event)


@pytest.mark.parametrize("given", [["stop", "STOP"], ["tool-calls", "new_reason_2"], [], None])
def test_words_leave_as_reasons(encode: Encoding, given: object) -> None:
    assert encode.request(finish_reasons=given)["finish_reasons"] == given
    assert encode.counters.fields_altered == 0
