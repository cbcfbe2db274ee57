"""The detect job: the delta topic in, decisions and their state out."""
