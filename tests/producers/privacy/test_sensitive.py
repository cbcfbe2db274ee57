"""Detectors of sensitive text: what they count, and what they leave alone."""

from __future__ import annotations

import random
import re
import string

from hypothesis import given
from hypothesis import strategies as st

from tests.each import each
from tokentide.privacy import detect, detection, patterns


@each(
    ("text", "found"),
    [
        ("write to ann@example.org or Bob.X+y@mail.co.uk.", {"email": 2}),
        ("<ann_@x.museum>", {"email": 1}),
        ("card 4111 1111 1111 1111 12/27", {"card": 1}),
        ("5500-0000-0000-0004, 378282246310005 6011111111111117", {"card": 3}),
        ("pay DE89 3704 0044 0532 0130 00 AND GB82WEST12345698765432 now", {"iban": 2}),
        ("NL91ABNA0417164300", {"iban": 1}),
        ("call +49 (171) 234-5678 or 0049 171 2345678", {"phone": 2}),
        ("212-555-0123 / (212) 555-0123", {"phone": 2}),
        ("sk-proj-abcDEF123456ghiJKL789", {"secret": 1}),
        ("sk-ant-api03-AbCdEf0123456789AbCdEf", {"secret": 1}),
        ("AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", {"secret": 1}),
        ("ghp_" + "aB3" * 12, {"secret": 1}),
        (
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
            {"secret": 1},
        ),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE", {"secret": 1}),
        ("-----BEGIN PRIVATE KEY-----", {"secret": 1}),
        ('{"api_key": "9f86d081884c7d659a2feaa0"}', {"secret": 1}),
        ("password = 'hunter2Hunter2X9z'", {"secret": 1}),
        ("ann@example.org 4111111111111111", {"email": 1, "card": 1}),
    ],
)
def test_sensitive_text_is_found_once_and_by_its_class(text: str, found: dict[str, int]) -> None:
    assert detect(text) == found


@each(
    "text",
    [
        "git@github.com:owner/name.git and logo@2x.png, lodash@4.17.21, @decorator, a @ b",
        "4111 1111 1111 1112 fails its check digit, 0000 0000 0000 0000 is no card",
        "order 20261123123456, seen 1763856000000 and 1763856000000000",
        "DE89 3704 0044 0532 0130 01 fails its check digits",
        "VERY LONG WORDS IN CAPITALS AB12 ABCDEFGHIJKLMNO",
        "2026-11-23T00:00:00+0100, 192.168.100.123, 3.14159265358979, 1,234,567,890",
        "version 212.555.01 and 10-20-3000",
        "max_tokens: max_output_tokens_2048 and token: maxOutputTokens2048",
        "sk-learn-based-classification-models are in task-sk-notes",
        "primary_key = customer_identifier_column, key: [1, 2, 3]",
        "https://example.com/a/b/c?page=2&sort=asc",
        "550e8400-e29b-41d4-a716-446655440000",
        "0045678912 is an order number with leading zeros",
        "The quick brown fox jumps over the lazy dog. " * 20,
        "",
    ],
)
def test_text_that_only_looks_like_it_is_not_found(text: str) -> None:
    assert detect(text) == {}


def test_only_the_classes_asked_for_are_looked_for() -> None:
    text = "ann@example.org 4111111111111111"
    assert detect(text, ("card",)) == {"card": 1}


def test_beyond_the_bound_nothing_is_looked_at() -> None:
    padding = " " * detection.MAX_CHARS
    assert detect("a@example.org" + padding + "b@example.org") == {"email": 1}


def test_every_repetition_in_a_pattern_is_bounded() -> None:
    """`*` and `+` are the only ways to superlinear matching: here they stand in classes only."""
    found = [value for value in vars(patterns).values() if isinstance(value, re.Pattern)]
    assert len(found) >= 8
    for pattern in found:
        outside_classes = re.sub(r"\[(?:\\.|[^\]\\])*\]|\\.", "x", pattern.pattern)
        assert not re.search(r"[*+]|\{\d+,\}", outside_classes), pattern.pattern


def test_hostile_texts_take_no_more_steps_than_their_length_allows() -> None:
    """Texts made of what patterns begin with: were one quadratic, this would take minutes."""
    pieces = ["a@", "1 ", "-eyJ", "key=", "eyJaaaaaaaa.", "AA11 ", "+1 ", "-sk-", "key=a1B2", "A"]
    for piece in pieces:
        detect(piece * (detection.MAX_CHARS // len(piece)))


@given(st.text(max_size=400))
def test_any_text_gives_positive_counts_of_known_classes(text: str) -> None:
    found = detect(text)
    assert set(found) <= set(detection.CLASSES)
    assert all(count > 0 for count in found.values())


@given(st.integers(min_value=10**14, max_value=10**15 - 1))
def test_the_luhn_digit_is_the_only_one_that_fits(number: int) -> None:
    fitting = [digit for digit in "0123456789" if patterns.luhn(f"{number}{digit}")]
    assert len(fitting) == 1


def test_random_keys_are_found_behind_a_name_and_words_are_not() -> None:
    rng = random.Random(7)
    alphabet = string.ascii_letters + string.digits
    keys = ["".join(rng.choices(alphabet, k=32)) for _ in range(200)]
    assert sum(detect(f"api_key={key}") == {"secret": 1} for key in keys) >= 190
    words = ["alpha", "Bravo", "charlie", "Delta", "echo", "2026", "v2", "foxtrot"]
    names = ["_".join(rng.choices(words, k=4)) for _ in range(200)]
    assert sum(bool(detect(f"cache_key={name}")) for name in names) <= 4
