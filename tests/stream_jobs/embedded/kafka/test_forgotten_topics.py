"""Which directories of Kafka's log hold records of topics that it does not know."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from tokentide_jobs.embedded.kafka.forgotten_topics import forgotten_topics

ID = UUID(int=7).hex


def partition(log_dir: Path, name: str, *segments: bytes) -> Path:
    directory = log_dir / name
    directory.mkdir()
    for number, records in enumerate(segments):
        (directory / f"{number:020}.log").write_bytes(records)
    return directory


@pytest.mark.parametrize("name", ["a.b-v1-12", f"a.b-v1-12.{ID}-stray"])
def test_a_topic_with_records_that_the_broker_does_not_name_is_forgotten(
    tmp_path: Path, name: str
) -> None:
    kept = partition(tmp_path, name, b"", b"records")

    assert forgotten_topics(tmp_path, {"b"}) == {"a.b-v1": [kept]}
    assert forgotten_topics(tmp_path, {"a.b-v1"}) == {}


@pytest.mark.parametrize("name", ["__cluster_metadata-0", f"a-0.{ID}-delete", "a", "bootstrap-x"])
def test_what_is_no_partition_or_is_being_deleted_is_not_forgotten(
    tmp_path: Path, name: str
) -> None:
    partition(tmp_path, name, b"records")
    (tmp_path / "meta.properties").touch()

    assert forgotten_topics(tmp_path, set()) == {}


def test_a_topic_without_a_record_may_be_made_anew(tmp_path: Path) -> None:
    partition(tmp_path, "a-0", b"")

    assert forgotten_topics(tmp_path, set()) == {}
