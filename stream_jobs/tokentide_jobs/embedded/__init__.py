"""The embedded stack: a broker and ClickHouse on one machine, from what pip installs."""
