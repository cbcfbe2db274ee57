"""What Grafana and its ClickHouse plugin would make of our boards: macros, keys, lint."""
