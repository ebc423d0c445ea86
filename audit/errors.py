"""What the journal refuses. Each error states a fact; none carries a value of a person."""


class JournalError(Exception):
    """Any refusal of the journal."""


class NotCanonical(JournalError):
    """The value or the bytes are outside the restricted RFC 8785 form."""


class EntryRefused(JournalError):
    """The bytes are not an entry of this format."""


class ProofRefused(JournalError):
    """A Merkle proof does not prove what it claims (RFC 9162, 2.1.3.2 and 2.1.4.2)."""


class NoteRefused(JournalError):
    """A signed note or a verification key is malformed, or no trusted key has signed it."""


class EntryNotFound(JournalError):
    """No integrated entry with this id stands in this log."""


class NothingPublished(JournalError):
    """The log has no checkpoint yet."""


class StateRefused(JournalError):
    """The signer's state is unreadable: nothing may be signed until an operator has looked."""


class JournalRefused(JournalError):
    """The integrator or the signer found the journal other than it was left: an alarm, nothing was signed.

    `log` is the 16-byte id of the log; the others can go on without it.
    """

    def __init__(self, log: bytes, fact: str) -> None:
        super().__init__(f"log {log.hex()}: {fact}")
        self.log = log
        self.fact = fact
