"""Files that no wheel brings: fetched once from a Maven repository, checked by a lock, kept."""
