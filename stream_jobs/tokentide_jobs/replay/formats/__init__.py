"""Readers of recorded workloads: one format a module, each yields calls in order of time."""
