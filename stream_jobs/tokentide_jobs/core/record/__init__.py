"""From Kafka bytes to the lines of events they hold."""
