"""Replay of recorded LLM workloads through the SDK: formats, joins, pacing, sending."""
