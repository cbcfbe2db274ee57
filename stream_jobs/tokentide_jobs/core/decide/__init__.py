"""What the stream of deltas gives rise to: anomalies, verdicts on runs and notices of budgets."""
