"""What is printed once: an organisation's founding sheet and each member's first access."""

from collections.abc import Sequence

import pyotp

from casework.identity.members import NewAccount
from casework.organisations.founding import Founded
from crypto.secret import Secret
from policies.labels import PROFESSIONS, ROLES

_WORDS_A_LINE = 4
_FINGERPRINT_GROUP = 4
# A new sheet of paper when printed; a reader of the file sees the heading.
PAGE = "\f"


def fingerprint_words(fingerprint: bytes) -> str:
    """The fingerprint in groups of four hexadecimal digits, to be read aloud."""
    digits = fingerprint.hex()
    return " ".join(digits[at : at + _FINGERPRINT_GROUP] for at in range(0, len(digits), _FINGERPRINT_GROUP))


def access_page(account: NewAccount, password: str, issuer: str) -> str:
    """What a founding member is handed: login, roles, initial password, second factor."""
    return _first_access(
        account,
        f"Mot de passe initial : {password}",
        "À remettre en main propre à cette seule personne.\n",
        issuer,
    )


def invitation_page(account: NewAccount, secret: Secret, issuer: str) -> str:
    """What a new member is handed: login, roles, second factor, and the secret for keys of her own."""
    return _first_access(
        account,
        f"Secret, bon une seule fois, sept jours : {secret.reveal().decode()}",
        "À remettre en main propre à cette seule personne. Sur son propre écran, elle l’échange contre son mot\n"
        "de passe et reçoit huit mots. Elle les lit de vive voix à la gestionnaire des clés, qui les confirme,\n"
        "puis à une collègue, qui lui remet ses clés.\n",
        issuer,
    )


def _first_access(account: NewAccount, entry: str, use: str, issuer: str) -> str:
    roles = "\n".join(
        f"  Rôle : {ROLES[position.role]}"
        + "".join(f", {PROFESSIONS[profession]}" for profession in sorted(position.professions))
        for position in (member.position for member in account.memberships)
    )
    address = pyotp.TOTP(account.totp_seed).provisioning_uri(name=account.login, issuer_name=issuer)
    return (
        f"PREMIER ACCÈS : {account.login}\n\n{roles}\n"
        f"  {entry}\n"
        f"  Second facteur (secret) : {account.totp_seed}\n"
        f"  Second facteur (adresse) : {address}\n\n{use}"
    )


def founding_pages(
    name: str,
    slug: str,
    founded: Founded,
    accounts: Sequence[tuple[NewAccount, str]],
    issuer: str,
    rollup_key: str,
) -> list[str]:
    """One page each: the organisation, and its members (account and initial password)."""
    first = (
        f"FONDATION : {name} ({slug})\n\n"
        f"  Empreinte de la racine : {fingerprint_words(founded.root_fingerprint)}\n"
        f"  Clé de vérification du journal : {founded.journal_key}\n"
        f"  Clé de vérification du récapitulatif : {rollup_key}\n\n"
        "L’empreinte se compare de vive voix avec les autres organisations. Les clés vont à l’auditrice : elles\n"
        "permettent de vérifier le journal sans ce serveur, et ce que des témoins en ont vu. Les pages suivantes\n"
        "sont secrètes et ne peuvent pas être redemandées. Les parts de récupération sont à part : une\n"
        "feuille par personne qui en garde une.\n"
    )
    return [first, *(access_page(account, password, issuer) for account, password in accounts)]


def share_page(title: str, name: str, number: int, total: int, words: Sequence[str], use: str) -> str:
    """One share's words, numbered, and what may be done with it."""
    numbered = [f"{position:2}. {word:<12}" for position, word in enumerate(words, 1)]
    lines = (
        "  " + "".join(numbered[at : at + _WORDS_A_LINE]).rstrip()
        for at in range(0, len(numbered), _WORDS_A_LINE)
    )
    return f"{title} {number} SUR {total} : {name}\n\n" + "\n".join(lines) + "\n\n" + use
