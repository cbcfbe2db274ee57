"""Which published deltas are new, and the windows that they complete: many sources, one state."""
