"""Status: ask broker, ledger and workers, and judge what they say."""
