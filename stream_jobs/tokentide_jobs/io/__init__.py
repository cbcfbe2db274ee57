"""Thin edges to ClickHouse, Kafka, Grafana, receivers of alerts and the file system."""
