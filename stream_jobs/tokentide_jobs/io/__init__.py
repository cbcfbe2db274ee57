"""Thin edges to ClickHouse, Kafka and the file system."""
