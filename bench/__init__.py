"""Measurements with the peer or the limit beside them in the same run: `make bench`."""
