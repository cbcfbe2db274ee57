"""`default` as an ordinary database, in directories old and new.

chDB lays an overlay over its default database that looks unknown tables up as files, so every look
into it would need the right to read files. The endpoint leaves that overlay an unused name and
keeps `default` as a database like any other, with the tables an older data directory has there.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Final

FILE_OVERLAY: Final = "local_files"
"""Name of the overlay. No user is granted what a look into it needs."""


def settle_default_database(store: Path) -> None:
    """Give ``store`` a definition of `default`; call it before the engine opens the directory.

    The overlay, whatever its name, takes over the database that the link `metadata/default` leads
    to. The engine makes the link again for the real one.
    """
    metadata = store / "metadata"
    metadata.mkdir(parents=True, exist_ok=True)
    link, definition = metadata / "default", metadata / "default.sql"
    if not definition.exists():
        identity = link.readlink().name if link.is_symlink() else str(uuid.uuid4())
        partial = metadata / "default.sql.partial"
        partial.write_text(f"ATTACH DATABASE _ UUID '{identity}'\nENGINE = Atomic\n")
        partial.replace(definition)
    if link.is_symlink():
        link.unlink()
