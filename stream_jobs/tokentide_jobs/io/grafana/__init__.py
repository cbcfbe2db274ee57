"""Grafana's HTTP API: where it is, who asks, and what its answers mean."""
