"""Faust jobs: one agent a file, wiring without logic."""
