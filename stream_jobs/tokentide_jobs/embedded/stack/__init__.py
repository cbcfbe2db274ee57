"""The embedded stack: broker, ClickHouse and workers as one thing that starts and stops."""
