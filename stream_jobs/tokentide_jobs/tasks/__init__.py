"""Work that runs once and ends: verify, reprice, repair, void, status and the like."""
