"""What runs for long: ingest, detect and alert, and the process that they share."""
