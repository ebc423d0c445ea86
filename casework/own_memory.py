"""Keys live in this process's memory: no crash writes them to a disk, and no neighbour of the same user reads them.

Linux forgets neither setting until the process executes another program.
"""

import ctypes
import resource
from enum import StrEnum

# <linux/prctl.h>
_PR_GET_DUMPABLE = 3
_PR_SET_DUMPABLE = 4


class MemoryFault(StrEnum):
    """How the memory of this process could still leave it."""

    CORE_LIMIT = "core_limit"
    DUMPABLE = "dumpable"


def close_own_memory() -> None:
    """Turn core dumps off, and refuse ptrace and /proc/PID/mem to every process without CAP_SYS_PTRACE.

    Raises nothing: what did not work is what `open_memory` then tells.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The limit alone does not hold where the kernel pipes dumps to a program (core(5), core_pattern).
    _prctl(_PR_SET_DUMPABLE, 0)


def open_memory() -> list[MemoryFault]:
    """How the memory of this process can still leave it; empty after `close_own_memory` on any usual system."""
    faults = []
    if resource.getrlimit(resource.RLIMIT_CORE) != (0, 0):
        faults.append(MemoryFault.CORE_LIMIT)
    if _prctl(_PR_GET_DUMPABLE, 0) != 0:
        faults.append(MemoryFault.DUMPABLE)
    return faults


def _prctl(option: int, argument: int) -> int:
    """prctl(2): -1 where the kernel or a filter of system calls refuses."""
    result: int = ctypes.CDLL(None).prctl(option, ctypes.c_ulong(argument), 0, 0, 0)
    return result
