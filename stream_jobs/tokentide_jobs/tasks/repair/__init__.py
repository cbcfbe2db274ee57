"""Repair: windows and rollups become again the sums of the raw rows."""
