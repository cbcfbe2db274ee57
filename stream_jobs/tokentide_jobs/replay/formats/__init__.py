"""Readers of recorded workloads: one format a module, every one yields `Call`s in order of time."""
