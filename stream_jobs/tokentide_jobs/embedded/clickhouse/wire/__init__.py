"""Bytes as clients send and read them: codings, compressed frames, Native blocks, formats."""
