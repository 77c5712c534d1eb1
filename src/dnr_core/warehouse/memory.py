"""Room: warehouse. Gives memory that was freed back to the system, so that peaks do not add up."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import pyarrow as pa


@lru_cache(maxsize=1)
def _trim() -> Any:
    """Return glibc's `malloc_trim`; None where the C library is another one."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None


def give_back() -> None:
    """Return what Arrow's pool and the C library keep of freed memory to the system.

    Else each thread keeps the most that any part has needed. glibc has an arena a thread, and
    does not shrink it where anything that is still in use lies above the free space.
    """
    pa.default_memory_pool().release_unused()
    trim = _trim()
    if trim is not None:
        trim(0)
