"""Reprice: stored requests get other prices, and the windows follow."""
