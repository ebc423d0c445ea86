"""What stops an import."""


class ImportRefused(Exception):
    """The message is French, in whole sentences; it names the row and the rule, and never a value."""
