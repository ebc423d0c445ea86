"""The compartments every organisation has: its eight field groups, the journal's details, the match tokens."""

from casework.journal import JOURNAL
from policies.grants import INDEX
from policies.vocabulary import Group

COMPARTMENTS = (*(str(group) for group in Group), JOURNAL, INDEX)
