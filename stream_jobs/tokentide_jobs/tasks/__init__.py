"""Work that runs once and ends: verify, reprice, dead letters, summary, budgets."""
