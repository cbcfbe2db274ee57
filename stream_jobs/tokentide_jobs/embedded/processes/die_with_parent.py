"""Runs one command that cannot outlive the process that asked for it.

Executed as a script by `processes.ChildProcess` between fork and exec: it asks the kernel to kill
it when the parent ends, then becomes the command. A `kill -9` of the owner therefore leaves no
broker and no database behind. It imports nothing of ours, so that it adds milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>; the setting survives exec."""


def main(arguments: list[str]) -> None:
    """Become `arguments[1:]`, tied to the parent whose pid is `arguments[0]`."""
    parent_pid, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent_pid:
            # The owner died before the line above could notice.
            os._exit(128 + signal.SIGKILL)
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted: this process becomes the command


if __name__ == "__main__":
    main(sys.argv[1:])
