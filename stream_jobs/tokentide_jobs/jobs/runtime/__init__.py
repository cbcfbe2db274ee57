"""What every long-running job needs around its work: log, metrics, health, watchdog."""
