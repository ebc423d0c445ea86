"""A question that is answered by yes or no, in French: click's own asks in English."""

import click

_ANSWERS = {"o": True, "oui": True, "n": False, "non": False}


def agrees(question: str) -> bool:
    """Ask until the answer is o or n; an empty one is no. Raises click.Abort where nobody answers."""
    while True:
        typed = click.prompt(f"{question} [o/N]", default="n", show_default=False)
        answer = _ANSWERS.get(typed.strip().casefold())
        if answer is not None:
            return answer
        click.echo("Répondez par o (oui) ou n (non).")


def require_agreement(question: str) -> None:
    """Raises click.Abort unless the answer is yes."""
    if not agrees(question):
        raise click.Abort
