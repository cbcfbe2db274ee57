"""Verify: read log, ledger, rows and windows, and compare."""
