"""README says what was measured last, and no figure of another run.

`python -m bench.readme` writes its table again after bench/results.json has changed.
"""

from __future__ import annotations

import json

import pytest

from bench.readme import README, RESULTS, table, with_table


def test_the_figures_of_readme_are_those_of_the_results() -> None:
    page = README.read_text(encoding="utf-8")
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert with_table(page, results) == page, "run `python -m bench.readme`"


def test_a_measurement_that_was_not_run_has_no_row() -> None:
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert "idiomatic Faust" in table(results)
    del results["throughput"]
    assert "idiomatic Faust" not in table(results)


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="begin: figures"):
        with_table("no marks", {})
