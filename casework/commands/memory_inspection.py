"""Whether the keys that a command holds could leave its memory: every command closes it the same way."""

from casework.commands.findings import Finding
from casework.own_memory import MemoryFault, open_memory

_FINDINGS = {
    MemoryFault.CORE_LIMIT: Finding(
        "Une panne peut écrire la mémoire du programme, et ses clés, sur le disque",
        "mettez LimitCORE=0 dans l’unité systemd (ou « ulimit -c 0 »)",
    ),
    MemoryFault.DUMPABLE: Finding(
        "Un autre programme du même utilisateur peut lire la mémoire de celui-ci, et ses clés",
        "autorisez l’appel système prctl (SystemCallFilter de l’unité systemd, profil seccomp du conteneur)",
    ),
}


def inspect_memory() -> list[Finding]:
    return [_FINDINGS[fault] for fault in open_memory()]
