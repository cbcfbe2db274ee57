"""Kafka: clients, administration, offsets, and what ingest publishes."""
