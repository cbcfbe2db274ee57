"""Service level objectives: which events are good, how many may be bad, how fast they are."""
