"""Turns the table tenant_retention into the TTL of the raw tables.

The engine itself drops what is too old, so retention holds when nothing of ours is running. A
table is altered only when its TTL says something else: rewriting parts is not free.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokentide_jobs.core.tables import KEPT_DAYS, TENANT_RETENTION, TENANT_TABLES
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.schema.sql_template import SqlTarget

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

__all__ = ["Rule", "retention_statements"]

_TENANT = re.compile(r"[\w.:@/ +-]{1,128}")
_TTL = re.compile(r"toIntervalDay\((\d+)\)(?: WHERE \(?\(?tenant (NOT )?IN \(([^)]*)\))?")


@dataclass(frozen=True, slots=True)
class Rule:
    """Rows older than `days` go: those of `tenants`, or with `is_rest` those of all others."""

    days: int
    tenants: frozenset[str] = frozenset()
    is_rest: bool = False

    def sql(self) -> str:
        """Return the rule as one element of a TTL clause."""
        age = f"toDate(started_at) + toIntervalDay({self.days})"
        if not self.tenants:
            return age
        names = ", ".join(f"'{name}'" for name in sorted(self.tenants))
        return f"{age} DELETE WHERE tenant {'NOT ' if self.is_rest else ''}IN ({names})"


def retention_statements(client: Client, target: SqlTarget) -> list[str]:
    """Return the ALTER statements that bring every raw table in line with tenant_retention.

    Where that table is not there yet, nothing is to be done.

    Raises:
        ConfigError: A tenant's name holds characters that a TTL clause cannot.
    """
    if not int(str(client.command(f"EXISTS TABLE {target.database}.{TENANT_RETENTION}"))):
        return []
    days_of = _wanted(client, target.database)
    on_cluster = f" ON CLUSTER '{target.cluster}'" if target.cluster else ""
    statements = []
    for table in TENANT_TABLES:
        wanted = _rules(days_of, KEPT_DAYS[table])
        if _current(client, target.database, table) != set(wanted):
            clause = ", ".join(rule.sql() for rule in wanted)
            statements.append(
                f"ALTER TABLE {target.database}.{table}{on_cluster} MODIFY TTL {clause}"
            )
    return statements


def _wanted(client: Client, database: str) -> dict[str, int]:
    rows = client.query(
        "SELECT tenant, argMax(days, set_at) AS wanted"  # noqa: S608
        f" FROM {database}.{TENANT_RETENTION} GROUP BY tenant HAVING wanted > 0"
    ).result_rows
    for tenant, _days in rows:
        if not _TENANT.fullmatch(tenant):
            raise ConfigError(
                f"{TENANT_RETENTION}: tenant {tenant!r} cannot have a retention of its own:"
                " only letters, digits, blanks and _ . : @ / + - are possible; set its days to 0"
            )
    return {str(tenant): int(days) for tenant, days in rows}


def _rules(days_of: Mapping[str, int], own_days: int) -> list[Rule]:
    tenants_of: dict[int, set[str]] = defaultdict(set)
    for tenant, days in days_of.items():
        tenants_of[days].add(tenant)
    special = [Rule(days, frozenset(names)) for days, names in sorted(tenants_of.items())]
    return [Rule(own_days, frozenset(days_of), is_rest=bool(days_of)), *special]


def _current(client: Client, database: str, table: str) -> set[Rule]:
    full = client.query(
        "SELECT engine_full FROM system.tables"
        " WHERE database = {database:String} AND name = {table:String}",
        parameters={"database": database, "table": table},
    ).result_rows[0][0]
    rules = set()
    for days, negated, names in _TTL.findall(full.partition(" TTL ")[2]):
        tenants = frozenset(re.findall(r"'([^']*)'", names))
        rules.add(Rule(int(days), tenants, is_rest=bool(negated)))
    return rules
