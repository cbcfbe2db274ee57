"""Names of keys state their dimensions, whatever texts those have."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sampling import examples
from tokentide_jobs.core.merge.key_levels import dimensions_of, key_name

NAMES = st.sampled_from(["tenant", "model", "prompt_name"])
DIMENSIONS = st.dictionaries(NAMES, st.text(max_size=12), min_size=1)


@settings(max_examples=examples(20))
@given(DIMENSIONS)
def test_a_name_gives_its_dimensions_back(dimensions: dict[str, str]) -> None:
    assert dimensions_of(key_name(dimensions)) == dimensions


def test_a_name_reads_as_people_write_it() -> None:
    assert key_name({"tenant": "acme", "model": "gpt-4o"}) == "tenant=acme, model=gpt-4o"
    assert key_name({"tenant": "a, model=b"}) == "tenant=a\\, model=b"
