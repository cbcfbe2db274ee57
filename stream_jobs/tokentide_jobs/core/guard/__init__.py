"""Which single run of an agent spends too fast, too much, or on the same step again and again."""
