"""Frames on disk while the broker is away, for producers that are given a directory.

`segment` is one file, `claims` the ownership of a directory, `directory` all segments together,
`spooled_backlog` what the background thread sees of it. Imported only where a directory is set.
"""
