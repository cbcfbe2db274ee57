"""The embedded brokers: Apache Kafka from pinned jars, and Tansu as the light fallback."""
