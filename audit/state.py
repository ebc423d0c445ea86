"""What the signer remembers outside the database: the last tree head it published of each log.

A database that was rolled back or rewritten no longer leads to it, and the integrator refuses to sign (C2SP
tlog-checkpoint: a log must not sign what is inconsistent with what it signed before).
"""

from collections.abc import Iterable
from pathlib import Path

from audit.checkpoint import Checkpoint
from audit.heads import HeadsFile

FILE_NAME = "journal-signer.json"


class SignerState:
    """The file in `directory`; several processes of one machine may share it."""

    def __init__(self, directory: Path) -> None:
        self._file = HeadsFile(directory / FILE_NAME)

    def begin(self, origin: str) -> None:
        """Know `origin` from now on, with nothing published. A log that is known stays as it is.

        Raises:
            StateRefused: the file is unreadable.

        """
        with self._file.locked():
            heads = self._file.read()
            if origin not in heads:
                self._file.write({**heads, origin: None})

    def knows(self, origin: str) -> bool:
        """Whether `begin` was ever called for `origin`.

        Raises:
            StateRefused: the file is unreadable.

        """
        return origin in self._file.read()

    def last(self, origin: str) -> Checkpoint | None:
        """The last published tree head of `origin`; None where nothing was published.

        Raises:
            StateRefused: the file is unreadable.

        """
        return self._file.read().get(origin)

    def publish(self, checkpoints: Iterable[Checkpoint]) -> None:
        """Remember the heads of a committed integration, durably, before anybody is shown them.

        A head smaller than the one remembered is passed over: another process has published further since.

        Raises:
            StateRefused: the file is unreadable.

        """
        with self._file.locked():
            heads = self._file.read()
            for checkpoint in checkpoints:
                known = heads.get(checkpoint.origin)
                if known is None or known.size < checkpoint.size:
                    heads[checkpoint.origin] = checkpoint
            self._file.write(heads)
