"""Settings of polars' allocator are set before polars is loaded, and a user's own go first."""

from __future__ import annotations

import os
import sys
import types

import click
import pytest

from tokentide_jobs.cli.worker import ingest
from tokentide_jobs.jobs.runtime.polars_heap import VARIABLE, give_back_soon


def test_what_is_set_already_is_kept() -> None:
    environment = {VARIABLE: "dirty_decay_ms:5000"}
    give_back_soon(environment)
    assert environment == {VARIABLE: "dirty_decay_ms:5000"}


def test_a_worker_sets_it_before_its_job_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    seen: list[str | None] = []

    class Job(types.ModuleType):
        def __getattr__(self, name: str) -> object:
            seen.append(os.environ.get(VARIABLE))
            raise click.Abort

    monkeypatch.setitem(sys.modules, "tokentide_jobs.jobs.ingest.worker", Job("job"))
    with pytest.raises(click.Abort):
        ingest.callback(data_dir=None, log_level="info")  # type: ignore[misc] # a command has one
    assert seen
    assert seen[-1]
    monkeypatch.delenv(VARIABLE, raising=False)
