"""The ingest job: from Kafka records to rows, windows and the ledger, exactly once in effect."""
