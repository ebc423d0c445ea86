"""Keys that somebody was given on paper, as options of a command."""

import click

from audit.checkpoint import VerificationKey
from audit.errors import NoteRefused


class VerificationKeyType(click.ParamType[VerificationKey]):
    name = "clé"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> VerificationKey:
        try:
            return VerificationKey.parse(value)
        except NoteRefused:
            self.fail("une clé de vérification est attendue, telle qu’elle a été imprimée", param, ctx)
