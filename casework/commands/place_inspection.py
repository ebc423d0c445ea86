"""Unsafe places: settings, directories, the pepper, the journal's keys."""

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from casework.commands.findings import Finding
from casework.commands.refusals import sentence
from casework.dumps import stale_copies
from casework.health import LEAST_FREE_BYTES
from casework.settings import Settings
from crypto.errors import PepperRefused
from crypto.pepper import FileKeyProvider

_DATA, _STATE, _PEPPER = "CASEWORK_DATA_DIR", "CASEWORK_STATE_DIR", "CASEWORK_PEPPER_FILE"
_URLS = (
    "CASEWORK_DATABASE_URL",
    "CASEWORK_INTEGRATOR_URL",
    "CASEWORK_SHRED_URL",
    "CASEWORK_OWNER_URL",
)
# asyncpg's words for a connection whose server's certificate is checked.
_VERIFIED = ("verify-ca", "verify-full")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def inspect_settings(environment: Mapping[str, str]) -> list[Finding]:
    """What the environment alone says: what is missing, what stands inside what, which value holds a secret."""
    missing = [name for name in (_DATA, _STATE, _PEPPER) if not environment.get(name)]
    findings = [Finding(f"{name} n’est pas défini", "donnez-lui un chemin") for name in missing]
    places = {
        name: Path(environment[name]).resolve() for name in (_DATA, _STATE, _PEPPER) if name not in missing
    }
    findings += [
        Finding(f"{name} n’est pas un répertoire", "lancez « casework init »")
        for name in (_DATA, _STATE)
        if name in places and not places[name].is_dir()
    ]
    findings += [
        Finding(f"{inner} se trouve dans {outer}", "placez-le ailleurs : une sauvegarde l’emporterait")
        for inner, outer in ((_PEPPER, _DATA), (_PEPPER, _STATE), (_STATE, _DATA))
        if {inner, outer} <= places.keys() and places[inner].is_relative_to(places[outer])
    ]
    findings += [
        Finding(
            f"{name} contient un mot de passe",
            "identifiez le rôle par sa connexion locale (peer) ou par un fichier PGPASSFILE",
        )
        for name in _URLS
        if _has_password(environment.get(name, ""))
    ]
    if _PEPPER in places:
        findings += _inspect_pepper(Path(environment[_PEPPER]).absolute())
    return findings


def inspect_places(settings: Settings) -> list[Finding]:
    """Directories and keys that others than the service's account may use."""
    findings = [
        Finding(f"{name} est ouvert à d’autres comptes", "réservez-le à son propriétaire (chmod 700)")
        for name, path in ((_DATA, settings.data_dir), (_STATE, settings.state_dir))
        if _mode(path) & _OTHERS
    ]
    findings += [
        Finding(
            f"{name} appartient à un autre compte que le vôtre", "lancez casework sous le compte du service"
        )
        for name, path in (
            (_DATA, settings.data_dir),
            (_STATE, settings.state_dir),
            (_PEPPER, settings.pepper_file),
        )
        if path.stat().st_uid != os.geteuid()
    ]
    findings += [
        Finding(
            f"{name} : le disque est presque plein",
            "faites de la place, sans toucher aux fichiers du service",
        )
        for name, path in ((_DATA, settings.data_dir), (_STATE, settings.state_dir))
        if shutil.disk_usage(path).free < LEAST_FREE_BYTES
    ]
    findings += [
        Finding(
            f"{_DATA} : une sauvegarde interrompue a laissé {path.name}, une copie en clair",
            "relancez « casework backup » ou le service : ils l’effacent",
        )
        for path in stale_copies(settings.data_dir)
    ]
    findings += [
        Finding(
            f"{name} : la connexion passe par le réseau sans que le serveur soit vérifié",
            "ajoutez « ?ssl=verify-full » à l’adresse, ou placez la base sur cette machine",
        )
        for name, url in (
            ("CASEWORK_DATABASE_URL", settings.database_url),
            ("CASEWORK_INTEGRATOR_URL", settings.integrator_url),
            ("CASEWORK_SHRED_URL", settings.shred_url),
        )
        if _is_remote(url) and url.query.get("ssl") not in _VERIFIED
    ]
    findings += [
        Finding(
            f"{_STATE} : {path.relative_to(settings.state_dir)} est ouvert à d’autres comptes",
            "réservez-le à son propriétaire (chmod go-rwx)",
        )
        for path in _key_places(settings.state_dir)
        if _mode(path) & _OTHERS
    ]
    return findings


def _inspect_pepper(path: Path) -> list[Finding]:
    try:
        FileKeyProvider(path).pepper()
    except PepperRefused as error:
        what = (sentence(error) or "").rstrip(".")
        return [
            Finding(
                what,
                "rétablissez sa copie, en mode 0600 ; pour un déploiement neuf, lancez « casework init »",
            )
        ]
    return []


def _key_places(state_dir: Path) -> Iterator[Path]:
    for path in sorted(state_dir.iterdir()):
        yield path
        if path.is_dir():
            yield from sorted(path.iterdir())


def _is_remote(url: URL) -> bool:
    """Whether the address leaves this machine: no socket, and no loopback."""
    host = str(url.query.get("host", url.host or ""))
    if url.get_backend_name() == "sqlite" or not host or host.startswith("/") or host == "localhost":
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _has_password(url: str) -> bool:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return False
    return parsed.password is not None or "password" in parsed.query
