"""Bridges from other libraries' callbacks to events; each imports its library when imported."""
