"""Grafana as code: boards, alert rules, the check of their queries, and a local viewer."""
