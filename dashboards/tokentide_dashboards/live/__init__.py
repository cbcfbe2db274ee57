"""A running Grafana held against our boards and rules, and boards brought into it."""
