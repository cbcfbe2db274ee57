"""What several tests of migrations start from: files so small that a test can edit them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tokentide_jobs.io.schema.sql_files import sql_root


@pytest.fixture
def small_root(tmp_path: Path) -> Path:
    """Return a folder with one migration and one view, small enough to edit."""
    root = tmp_path / "sql"
    (root / "migrations").mkdir(parents=True)
    (root / "views").mkdir()
    shutil.copy(sql_root() / "bootstrap.sql", root)
    (root / "migrations/0001_first.sql").write_text(
        "CREATE TABLE IF NOT EXISTS ${database}.t ${on_cluster} (a Int64)"
        " ENGINE = ${engine:MergeTree} ORDER BY a SETTINGS ${dedup};"
    )
    (root / "views/v.sql").write_text(
        "CREATE OR REPLACE VIEW ${database}.v ${on_cluster} AS SELECT a FROM ${database}.t;"
    )
    return root
