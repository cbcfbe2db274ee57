"""Whatever answers come, extractors stay silent, and what they give the pipeline accepts."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.golden.cases import Case, load_cases
from tests.golden.forms import as_attributes
from tests.golden.pricing import event_of, judged
from tests.sampling import examples
from tokentide.usage import USAGE_FIELDS
from tokentide.usage.flavour import Flavour
from tokentide.usage.reading import usage_fields

# The golden cases run the same lines, and once: tracing them here shows nothing new.
pytestmark = pytest.mark.no_cover

FLAVOURS = sorted({case.flavour for case in load_cases()})
every_flavour = pytest.mark.parametrize("name", FLAVOURS)
often = settings(max_examples=examples(6), deadline=None, suppress_health_check=list(HealthCheck))

FORMS: tuple[Callable[[Any], Any], ...] = (lambda value: value, as_attributes)

COUNTS = st.one_of(
    st.integers(0, 20),
    st.integers(-(1 << 70), 1 << 70),
    st.sampled_from([(1 << 40) - 1, 1 << 40, (1 << 40) + 1, 1_000_000, 1_000_001]),
)
SCALARS = st.one_of(
    COUNTS,
    st.none(),
    st.booleans(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["stop", "refusal", "content_filter", "x" * 400]),
)


@cache
def cases_of(name: str) -> tuple[Case, ...]:
    return tuple(case for case in load_cases() if case.flavour == name)


def flavour(name: str) -> Flavour:
    """Return the extractor without the net that hosts have below it."""
    found = import_module(f"tokentide.usage.{name}").FLAVOUR
    assert isinstance(found, Flavour)
    return found


@cache
def keys_of(name: str) -> tuple[str, ...]:
    found: set[str] = {"usage", "choices"}

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            found.update(value)
            for item in value.values():
                collect(item)
        elif isinstance(value, list):
            for item in value:
                collect(item)

    for case in cases_of(name):
        collect(case.response if case.stream is None else case.stream)
    return tuple(sorted(found))


def junk(name: str) -> st.SearchStrategy[Any]:
    """JSON values made of the words of this API."""
    keys = st.sampled_from(keys_of(name))
    return st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=8)
        ),
        max_leaves=10,
    )


@st.composite
def spoiled(draw: st.DrawFn, name: str) -> Any:
    """Return a real payload (or list of chunks) in which some values were replaced."""
    case = draw(st.sampled_from(cases_of(name)))
    payload = copy.deepcopy(case.response if case.stream is None else case.stream)
    for _ in range(draw(st.integers(1, 4))):
        at: Any = payload
        holder: Any = None
        place: Any = None
        while isinstance(at, (dict, list)) and at and draw(st.integers(0, 5)):
            holder = at
            place = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
            at = at[place]
        if holder is not None:
            holder[place] = draw(st.one_of(SCALARS, junk(name)))
    return payload


def check(name: str, fields: dict[str, Any]) -> None:
    assert fields.get("usage_source", "missing") in ("provider", "missing", "estimated")
    # Other units of the request are taken back where tokens are the bill.
    assert {key for key, value in fields.items() if value is None} <= {"other_units"}
    case = cases_of(name)[0]
    judged(event_of(case, {**fields, **({} if "status" in fields else {"status": "ok"})}))


def read_every_way(name: str, payload: Any) -> None:
    reader = flavour(name)
    for form in FORMS:
        check(name, reader.read_response(form(payload)))
        reading = reader.read_stream()
        for chunk in payload if isinstance(payload, list) else [payload]:
            reading.add(form(chunk))
        check(name, reading.fields())
        check(name, reading.fields())


@every_flavour
@often
@given(data=st.data())
def test_spoiled_payloads_raise_nothing_and_give_valid_events(
    name: str, data: st.DataObject
) -> None:
    read_every_way(name, data.draw(spoiled(name)))


@every_flavour
@often
@given(data=st.data())
def test_junk_raises_nothing_and_gives_valid_events(name: str, data: st.DataObject) -> None:
    read_every_way(name, data.draw(junk(name)))


@every_flavour
@often
@given(data=st.data())
def test_junk_arguments_raise_nothing_and_give_valid_events(name: str, data: st.DataObject) -> None:
    keys = st.sampled_from(
        sorted({key for case in cases_of(name) for key in case.request} | {"model", "n", "stream"})
    )
    arguments = data.draw(st.dictionaries(keys, junk(name), max_size=8))
    fields = flavour(name).read_request(arguments)
    assert None not in fields.values()
    judged(event_of(cases_of(name)[0], {"usage_source": "missing", **fields}))


@settings(max_examples=examples(33), deadline=None)
@given(st.dictionaries(st.sampled_from(USAGE_FIELDS[:-2]), st.integers(0, 30), max_size=13))
def test_counts_are_cut_to_what_the_contract_allows_and_no_further(counts: dict[str, int]) -> None:
    fields = usage_fields(counts)
    judged(event_of(cases_of("openai_chat")[0], fields))
    if counts.keys() & {"input_tokens", "output_tokens"}:
        for total in ("input_tokens", "output_tokens"):
            assert fields.get(total) == counts.get(total)
    try:
        judged(event_of(cases_of("openai_chat")[0], {**counts, "usage_source": "provider"}))
    except ValueError:
        return
    assert fields == {**counts, "usage_source": "provider"}
