"""Run as `python -I -S child.py PARENT_PID PROGRAM ARGS…`: becomes PROGRAM, which gets SIGTERM when the launcher dies.

An exec helper rather than `preexec_fn`, which is not safe in a process with threads. It imports only the standard
library, so that it costs about 15 ms.
"""

from __future__ import annotations

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def _die_with_parent(parent: int) -> None:
    import ctypes  # only Linux needs it

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    # The launcher may have died before the call above took effect.
    if os.getppid() != parent:
        sys.exit(1)


def main() -> None:
    """Sets the death signal where the system has one, then replaces this process."""
    if sys.platform == "linux":
        _die_with_parent(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
