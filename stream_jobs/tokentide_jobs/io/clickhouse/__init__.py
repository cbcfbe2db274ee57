"""ClickHouse: the client, its errors, and what is kept there."""
