"""The version events carry as `sdk_version`.

Kept as a constant because reading the installed package's metadata costs an import of the host's
start-up time; a test holds it equal to the version of the distribution.
"""

from __future__ import annotations

__version__ = "0.1.0"
