"""Memory that a process keeps: freed planes are used again instead of given back to the system.

By default glibc maps each large plane anew and the system clears its pages: a third of the time of
a pair, more of a rendered sample. Threads that each keep a heap of their own hold more, so that one
heap for all takes less time *and* less memory at the peak.
"""

import ctypes
import sys

MMAP_THRESHOLD, TRIM_THRESHOLD, ARENA_MAX = -3, -1, -8
"""Numbers of glibc's ``mallopt``."""
LARGE = 2**30
"""Bytes from which on a plane is still mapped on its own."""
KEPT = 2**31 - 1
"""Bytes of free memory at the end of the heap that are not given back."""


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
