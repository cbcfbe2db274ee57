"""Where a batch begins and ends, and what the ledger promises about it."""
