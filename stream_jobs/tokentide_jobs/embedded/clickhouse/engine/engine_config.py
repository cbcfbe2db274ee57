"""The engine's own configuration: memory, caches, background threads and the query log.

chDB reads a configuration file only when it names a users file. The limits keep a laptop usable:
the process must stay far below 1.5 GB with millions of events, and be idle without requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from .default_database import FILE_OVERLAY
from .privileges import constraints_xml, grants_xml

CONFIG_FILE: Final = "engine.xml"
MIN_FREE_BYTES: Final = 256 * 1024 * 1024
"""Free disk below which inserts are refused, unless the command line says otherwise."""


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Ceilings of the embedded engine.

    Attributes:
        memory_bytes: All queries, merges and caches together; the process itself adds 350 MB.
        query_memory_bytes: One query, unless its own settings say otherwise.
        max_threads: Threads one query may use.
        query_log_days: Days system.query_log keeps.
        min_free_bytes: Free disk below which inserts are refused; merges leave half of it.
    """

    memory_bytes: int = 800_000_000
    query_memory_bytes: int = 560_000_000
    max_threads: int = 2
    query_log_days: int = 3
    min_free_bytes: int = MIN_FREE_BYTES


def write_config(directory: Path, limits: EngineLimits) -> Path:
    """Write the engine's configuration into ``directory`` and return its path."""
    for name in ("config.xml", "users.xml"):
        # Names of older versions. Importing chdb opens an engine that would find them here.
        (directory / name).unlink(missing_ok=True)
    users = directory / "engine-users.xml"
    users.write_text(_users_xml(limits), encoding="utf-8")
    config = directory / CONFIG_FILE
    config.write_text(_config_xml(users, limits), encoding="utf-8")
    return config


def _config_xml(users: Path, limits: EngineLimits) -> str:
    # What is kept free counts as used: inserts end at both together, merges at the first alone,
    # because another program may take what a merge has only reserved.
    kept_bytes = limits.min_free_bytes // 2
    insert_bytes = limits.min_free_bytes - kept_bytes
    return f"""<clickhouse>
  <logger><level>none</level></logger>
  <display_name>tokentide</display_name>
  <default_database>{FILE_OVERLAY}</default_database>
  <user_directories><users_xml><path>{escape(str(users))}</path></users_xml></user_directories>
  <max_server_memory_usage>{limits.memory_bytes}</max_server_memory_usage>
  <mark_cache_size>67108864</mark_cache_size>
  <index_mark_cache_size>8388608</index_mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <background_pool_size>2</background_pool_size>
  <background_merges_mutations_concurrency_ratio>2</background_merges_mutations_concurrency_ratio>
  <background_move_pool_size>1</background_move_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
  <background_common_pool_size>1</background_common_pool_size>
  <background_schedule_pool_size>2</background_schedule_pool_size>
  <background_buffer_flush_schedule_pool_size>1</background_buffer_flush_schedule_pool_size>
  <background_message_broker_schedule_pool_size>1</background_message_broker_schedule_pool_size>
  <background_distributed_schedule_pool_size>1</background_distributed_schedule_pool_size>
  <async_insert_threads>1</async_insert_threads>
  <max_thread_pool_free_size>16</max_thread_pool_free_size>
  <max_parts_cleaning_thread_pool_size>2</max_parts_cleaning_thread_pool_size>
  <max_active_parts_loading_thread_pool_size>4</max_active_parts_loading_thread_pool_size>
  <max_outdated_parts_loading_thread_pool_size>2</max_outdated_parts_loading_thread_pool_size>
  <os_threads_nice_value_merge_mutate>5</os_threads_nice_value_merge_mutate>
  <storage_configuration><disks><default>
    <keep_free_space_bytes>{kept_bytes}</keep_free_space_bytes>
  </default></disks></storage_configuration>
  <merge_tree>
    <min_free_disk_bytes_to_perform_insert>{insert_bytes}</min_free_disk_bytes_to_perform_insert>
    <max_bytes_to_merge_at_max_space_in_pool>2147483648</max_bytes_to_merge_at_max_space_in_pool>
    <merge_selecting_sleep_ms>5000</merge_selecting_sleep_ms>
    <number_of_free_entries_in_pool_to_execute_mutation>1</number_of_free_entries_in_pool_to_execute_mutation>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>1</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
    <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>1</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
  </merge_tree>
  <query_log>
    <database>system</database>
    <table>query_log</table>
    <engine>ENGINE = MergeTree PARTITION BY event_date ORDER BY event_time
      TTL event_date + INTERVAL {limits.query_log_days} DAY DELETE</engine>
    <flush_interval_milliseconds>7500</flush_interval_milliseconds>
    <max_size_rows>20000</max_size_rows>
    <reserved_size_rows>512</reserved_size_rows>
    <buffer_size_rows_flush_threshold>5000</buffer_size_rows_flush_threshold>
  </query_log>
</clickhouse>
"""


def _users_xml(limits: EngineLimits) -> str:
    return f"""<clickhouse>
  <profiles><default>
    <max_threads>{limits.max_threads}</max_threads>
    <max_memory_usage>{limits.query_memory_bytes}</max_memory_usage>
    <log_queries_min_type>QUERY_FINISH</log_queries_min_type>
    {constraints_xml()}
  </default></profiles>
  <users><default>
    <password></password>
    <networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
    <profile>default</profile>
    <quota>default</quota>
    {grants_xml()}
  </default></users>
  <quotas><default></default></quotas>
</clickhouse>
"""
