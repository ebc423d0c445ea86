"""A backup and the destruction of halves that a renewal replaced: one of them at a time, by a lock.

The database is copied before the shred store. A renewal that commits between the two would destroy what the copied
database needs: while a backup runs nothing of that is destroyed, and the sweep does it afterwards.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MODE = 0o600


@contextmanager
def copying(state_dir: Path) -> Iterator[None]:
    """Keep replaced halves; waits for a destruction, or another backup, that is under way."""
    with _opened(state_dir) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def destroying(state_dir: Path) -> Iterator[bool]:
    """Whether replaced halves may be destroyed: no backup runs, and none begins meanwhile."""
    with _opened(state_dir) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            no_backup_runs = True
        except BlockingIOError:
            no_backup_runs = False
        yield no_backup_runs


@contextmanager
def _opened(state_dir: Path) -> Iterator[int]:
    descriptor = os.open(state_dir / "backup.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
