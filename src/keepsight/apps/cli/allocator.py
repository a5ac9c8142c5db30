"""What the command asks of the C library's allocator, for its own process."""

import ctypes
import os
import sys

__all__ = ["keep_freed_memory"]

# Numbers of options, as glibc's malloc.h has them, and what they are set to; see mallopt(3).
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT = 2**30  # bytes that stay with the process when they are freed
LARGEST = 2**25  # bytes of the largest block that is taken from them, the most that glibc has always allowed
# Who sets one of these has thought about it.
SETTINGS = "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES"


def keep_freed_memory() -> bool:
    """Lets the memory of one frame serve for the next.

    glibc returns large blocks as soon as they are freed, and the kernel clears every page of the next
    frame's maps anew. Other C libraries are left as they are.

    Returns:
        Whether it was done.
    """
    if sys.platform != "linux" or any(name in os.environ for name in SETTINGS):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(MMAP_THRESHOLD, LARGEST) and mallopt(TRIM_THRESHOLD, KEPT))
