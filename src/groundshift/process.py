"""What programs of groundshift's own set for their process, before torch is imported.

Large planes come and go. By default glibc maps each anew and the system clears its pages: a third
of the time of a pair, more of a rendered sample. Threads that each keep a heap of their own hold
more, so that one heap for all takes less time *and* less memory at the peak. Large pages, which
torch can ask for, are left alone: where memory is in pieces the system spends more time to find
them than they save, and a pair takes a quarter more memory.

Threads that wait for each other do so at full speed for a while before they sleep. Where another
program has the core, the one that is waited for does not run meanwhile, and with the default a
small pair can take 20 to 50 times as long. Threads that sleep at once are no remedy: waking them
made a pair take three times as long on an idle machine. A short wait costs nothing there, and
beside two busy programs a pair takes two to three times as long, as it has to.
"""

import ctypes
import os
import sys

ENVIRONMENT = {"GOMP_SPINCOUNT": "10000"}
"""Read by torch's threads when it is imported."""
MMAP_THRESHOLD, TRIM_THRESHOLD, ARENA_MAX = -3, -1, -8
"""Numbers of glibc's ``mallopt``."""
LARGE = 2**30
"""Bytes from which on a plane is still mapped on its own."""
KEPT = 2**31 - 1
"""Bytes of free memory at the end of the heap that are not given back."""


def prepare() -> None:
    """Set everything, but what the user has set otherwise."""
    if sys.platform == "linux":
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
    keep_memory()


def keep_memory() -> bool:
    """Let this process keep the memory that it frees, for the next plane; glibc only.

    Meant for programs that are groundshift's own: it changes the whole process.

    Returns
    -------
        True where the allocator took the settings.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((ARENA_MAX, 1), (MMAP_THRESHOLD, LARGE), (TRIM_THRESHOLD, KEPT))
    taken = [mallopt(option, value) == 1 for option, value in settings]
    return all(taken)
