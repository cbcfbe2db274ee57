"""Child processes: start, tie to the parent, lock, restart."""
