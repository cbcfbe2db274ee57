"""ClickHouse's HTTP interface over the ClickHouse engine in a wheel (chDB), on loopback only.

The rest of the project talks to it as to any ClickHouse server. What the real server does and
this does not is listed in docs/embedded-clickhouse.md.
"""
