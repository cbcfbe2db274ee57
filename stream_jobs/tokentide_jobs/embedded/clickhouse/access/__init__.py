"""Who asks, and what the statement may do."""
