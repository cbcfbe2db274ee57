"""What the engine itself grants the endpoint's one user, and the settings no user may change.

The engine enforces both whatever text reaches it: no source outside the data directory (files,
URLs, other servers, executables) is granted, so a reader or a table over one fails even if the
checks of `access` were wrong. Scalar functions need no privilege; they are `access`'s business.
"""

from __future__ import annotations

from typing import Final

GRANTS: Final = (
    "SHOW, SELECT, INSERT, ALTER, TRUNCATE, OPTIMIZE, CHECK, KILL QUERY, UNDROP TABLE",
    "CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE ARBITRARY TEMPORARY TABLE",
    "DROP DATABASE, DROP TABLE, DROP VIEW, CREATE FUNCTION, DROP FUNCTION",
    "SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM MOVES, SYSTEM FLUSH, SYSTEM DROP CACHE",
    "SYSTEM WAIT LOADING PARTS, SYSTEM VIEWS",
)
"""Privileges on `*.*`; whatever is not named here is refused by the engine."""

FIXED_SETTINGS: Final = (
    # Other languages, and changes of this one: the text that was checked must be the one that runs.
    "allow_experimental_kusto_dialect",
    "allow_experimental_polyglot_dialect",
    "allow_experimental_prql_dialect",
    "allow_settings_after_format_in_insert",
    "dialect",
    "enable_json_ast_dialect",
    "enable_trino_dialect",
    "implicit_select",
    "implicit_table_at_top_level",
    "polyglot_dialect",
    # SQL in the value of a setting.
    "filter",
    "order",
    "parallel_replicas_custom_key",
    "select",
    "sort",
    # Names of files, servers and credentials.
    "ai_function_embedding_default_credentials",
    "ai_function_text_default_credentials",
    "cluster_for_parallel_replicas",
    "filesystem_cache_name",
    "format_avro_schema_registry_url",
    "format_schema",
    "format_schema_source",
    "format_template_resultset",
    "format_template_row",
    "input_format_record_errors_file_path",
    "into_outfile_create_parent_directories",
    "output_format_schema",
    "rename_files_after_processing",
    "s3_base",
    "s3queue_default_zookeeper_path",
    "traverse_shadow_remote_data_paths",
    "url_base",
    # Looking into the process.
    "allow_introspection_functions",
)
"""Settings that keep their default for all users, however they are set (code 452)."""


def grants_xml() -> str:
    """Write the `<grants>` of users.xml."""
    queries = "".join(f"<query>GRANT {grant} ON *.*</query>" for grant in GRANTS)
    return f"<grants>{queries}</grants>"


def constraints_xml() -> str:
    """Write the `<constraints>` of the profile in users.xml."""
    settings = "".join(f"<{name}><const/></{name}>" for name in FIXED_SETTINGS)
    return f"<constraints>{settings}</constraints>"
