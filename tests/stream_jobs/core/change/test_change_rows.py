"""Changes as rows: every `change` event of a batch, and read again as it was."""

from __future__ import annotations

from typing import Any

import polars as pl

from tokentide_jobs.core.change.cause import Change
from tokentide_jobs.core.change.change_rows import CHANGES_SCHEMA, change_rows, changes_of
from tokentide_jobs.core.decode.columns import COLUMNS, storage_schema


def events(*rows: dict[str, Any]) -> pl.DataFrame:
    empty = {column.name: column.empty for column in COLUMNS["change"]}
    return pl.DataFrame([empty | row for row in rows], schema=storage_schema("change"))


def test_a_change_is_read_as_it_was_sent_with_the_places_that_it_names() -> None:
    deploy = {
        "started_at_us": 9, "kind": "prompt", "subject": "answer", "from_version": "1",
        "to_version": "2", "actor": "dana", "service": "chat", "tenant": "acme",
    }  # fmt: skip
    bare = {"started_at_us": 3, "kind": "deploy", "subject": "search"}
    assert list(changes_of(change_rows(events(deploy, bare)))) == [
        Change(
            kind="prompt", subject="answer", at_us=9, from_version="1", to_version="2",
            actor="dana", dimensions={"service": "chat", "tenant": "acme"},
        ),
        Change(kind="deploy", subject="search", at_us=3, dimensions={}),
    ]  # fmt: skip


def test_a_batch_without_changes_has_no_rows() -> None:
    for rows in (pl.DataFrame(), events()):
        found = change_rows(rows)
        assert (found.schema, found.height) == (CHANGES_SCHEMA, 0)
