"""Placeholders of SQL files, for one node and for a cluster."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.each import each
from tokentide_jobs.core.tables import DATABASE_NAME
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.schema.sql_files import sql_root
from tokentide_jobs.io.schema.sql_scripts import load_scripts
from tokentide_jobs.io.schema.sql_template import SqlTarget, render, split_statements

SINGLE = SqlTarget("analytics")
CLUSTER = SqlTarget("analytics", "main")


def test_a_single_node_gets_plain_engines_and_no_cluster_clause() -> None:
    sql = "CREATE TABLE ${database}.t ${on_cluster}\nENGINE = ${engine:MergeTree} SETTINGS ${dedup}"
    assert render(sql, SINGLE) == (
        "CREATE TABLE analytics.t\n"
        "ENGINE = MergeTree SETTINGS non_replicated_deduplication_window = 10000"
    )


def test_a_cluster_gets_replicated_engines_that_remember_a_week_of_tokens() -> None:
    sql = (
        "CREATE TABLE ${database}.t ${on_cluster}\n"
        "ENGINE = ${engine:ReplacingMergeTree(v)} SETTINGS ${dedup}"
    )
    assert render(sql, CLUSTER) == (
        "CREATE TABLE analytics.t ON CLUSTER 'main'\n"
        "ENGINE = ReplicatedReplacingMergeTree(v) SETTINGS"
        " replicated_deduplication_window = 100000,"
        " replicated_deduplication_window_seconds = 604800"
    )


@pytest.mark.parametrize("bad", ["${dbname}", "${engine:Log}", "${engine}", "${database:x}", "${}"])
def test_an_unknown_placeholder_is_refused_with_file_and_placeholder(bad: str) -> None:
    with pytest.raises(ConfigError, match=r"views/x\.sql: unknown placeholder") as error:
        render(f"SELECT {bad}", SINGLE, "views/x.sql")
    assert bad in str(error.value)


@each(
    "name",
    ["", "a b", "a;b", "1abc", "abc`", "a.b", "abc\n", "größe", "d", "xy", "x" * 65, "x" * 300,
     "system", "System", "INFORMATION_SCHEMA"],
)  # fmt: skip
def test_a_database_name_that_sql_or_a_file_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"TOKENTIDE_DATABASE.*use 3 to 64 letters"):
        SqlTarget(name)


def test_database_names_of_3_to_64_letters_are_taken() -> None:
    assert [SqlTarget(name).database for name in ("abc", "systems", "x" * 64)]


def test_no_table_of_a_query_has_a_name_that_a_database_may_have() -> None:
    """ClickHouse takes `d.rows` for a column of a table `d` where the query has one."""
    found = {}
    for path in sorted(sql_root().rglob("*.sql")):
        text = re.sub(r"--[^\n]*", "", path.read_text("utf-8"))
        for start in [match.end() for match in re.finditer(r"\b(?:FROM|JOIN)\s*\(", text)]:
            inside, end = 1, start
            while inside:
                inside += {"(": 1, ")": -1}.get(text[end], 0)
                end += 1
            if alias := re.match(r"\s*AS\s+(\w+)", text[end:]):
                found[alias[1]] = path.name
        for alias in re.finditer(r"\b(?:FROM|JOIN)\s+[\w.${}]+(?:\s+FINAL)?\s+AS\s+(\w+)", text):
            found[alias[1]] = path.name
    assert len(found) > 10
    assert {name: file for name, file in found.items() if DATABASE_NAME.fullmatch(name)} == {}


@pytest.mark.parametrize("name", ["", "a'b", "a b"])
def test_a_cluster_name_that_would_need_escaping_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is no cluster name"):
        SqlTarget("tokentide", name)


def test_semicolons_in_quotes_and_comments_do_not_end_a_statement() -> None:
    text = """
    -- first; still a comment
    SELECT 'a;b', 'it''s; \\';', `c;d`, "e;f" /* ; */;
    /* nothing; here */ ;
    -- only a comment;
    SELECT 2 -- last, without a semicolon
    """
    first, second = split_statements(text)
    assert first.startswith("-- first; still a comment") and first.endswith("/* ; */")
    assert second.endswith("-- last, without a semicolon")


def test_a_file_of_comments_has_no_statements() -> None:
    assert list(split_statements("-- nothing\n/* at all; */\n;;\n")) == []


@given(
    st.lists(
        st.text(alphabet="ab;'\\`\"", max_size=8).map(
            lambda s: "SELECT '" + s.replace("\\", "\\\\").replace("'", "''") + "'"
        ),
        max_size=5,
    )
)
def test_statements_joined_with_semicolons_come_apart_unchanged(statements: list[str]) -> None:
    assert list(split_statements(";\n".join(statements))) == statements


def test_every_file_renders_for_both_targets_without_leftovers() -> None:
    for script in load_scripts():
        for target in (SINGLE, CLUSTER):
            sql = render(script.text, target, script.name)
            assert "${" not in sql and not re.search(r"[ \t]\n", sql), script.name
            assert list(split_statements(sql)), script.name


def test_scripts_come_in_the_order_migrations_functions_views() -> None:
    names = [script.name for script in load_scripts()]
    folders = [name.split("/")[0] for name in names]
    assert folders == sorted(folders, key=["migrations", "functions", "views"].index)
    numbers = [name for name in names if name.startswith("migrations/")]
    assert numbers == sorted(numbers)
    assert all(s.once == s.name.startswith("migrations/") for s in load_scripts())


def test_every_object_is_created_idempotently_and_on_the_cluster() -> None:
    for script in load_scripts():
        for statement in split_statements(script.text):
            bare = re.sub(r"--[^\n]*", "", statement)
            if not (created := re.search(r"\bCREATE\s+(.*)", bare)):
                continue
            assert "IF NOT EXISTS" in created[1] or "OR REPLACE" in created[1], script.name
            assert "${on_cluster}" in bare, f"{script.name}: {created[0]}"


def test_every_table_that_stores_rows_remembers_its_inserts() -> None:
    for path in [*sql_root().glob("migrations/*.sql"), sql_root() / "bootstrap.sql"]:
        for statement in split_statements(path.read_text("utf-8")):
            if "ENGINE =" in statement:
                assert "${dedup}" in statement, f"{path.name}: {statement[:120]}"


def test_every_table_with_a_tenant_is_closed_to_analysts_of_other_tenants() -> None:
    policies = (sql_root() / "roles/analyst.sql").read_text("utf-8")
    for path in sql_root().glob("migrations/*.sql"):
        for statement in split_statements(path.read_text("utf-8")):
            table = re.search(r"CREATE TABLE IF NOT EXISTS (\S+)", statement)
            if table and re.search(r"^ +tenant ", statement, re.MULTILINE):
                assert f" ON {table[1]}\n" in policies, table[1]


def test_every_file_opens_with_its_documentation() -> None:
    for script in load_scripts():
        assert script.text.startswith("-- "), script.name
        if script.name.startswith("views/"):
            assert "Grain:" in script.text and "Reads:" in script.text, script.name
