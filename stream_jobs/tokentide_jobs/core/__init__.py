"""Pure computation of the pipeline: no Kafka, no Faust, no ClickHouse, no clock, no files."""
