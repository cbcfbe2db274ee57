"""Everything a batch turns into: rows ready to be inserted."""
