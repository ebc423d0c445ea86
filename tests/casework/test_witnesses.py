"""The service and a witness, two processes over HTTP: what is signed, what is tolerated, and who is found out."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from gzip import compress
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest
from sqlalchemy import Connection, delete, func, insert, select, update

from audit import tables
from audit.bundle import write_bundle
from audit.checkpoint import (
    Checkpoint,
    NoteSigner,
    parse_checkpoint,
    parse_text,
    sign_checkpoint,
    verify_checkpoint,
    verify_cosignature,
)
from audit.layout import ROLLUP_LEAF, ROLLUP_PROOF
from audit.log import latest_checkpoint
from audit.receipt import Receipt
from audit.state import FILE_NAME as STATE_FILE
from audit.state import SignerState
from audit.tables import ROLLUP_LOG
from audit.tree import Frontier, leaf_hash, verify_inclusion
from audit.triggers import drop_triggers
from audit.witness import AddCheckpoint
from casework import witnesses
from casework.rollups import RollUps
from casework.settings import WitnessAddress
from casework.signers import load_signer, rollup_signer
from casework.witnesses import NotCosigned, OtherSize, Refusal, ask
from crypto.signing import verify
from tests.audit.tampering import altered
from tests.audit.test_witness import TREE, WITNESS
from tests.casework.administrator import Administrator
from tests.casework.alerting.receivers import Chatterer, chattering
from tests.casework.centre import NAME, Centre
from tests.casework.watching import Watching, watching

ORIGIN = f"{NAME}/rollup"


@pytest.fixture
async def witness(centre: Centre, tmp_path: Path) -> AsyncIterator[Watching]:
    """A partner's witness, which the service is told of; the service's own timer stands still, in mid-hour."""
    deployment = centre.deployment
    await centre.app.state.rollups.stop()
    centre.clock.offset += timedelta(minutes=30 - centre.clock.now().minute)
    await centre.sign_in("avec.social")
    await centre.app.state.integration.round()
    place = tmp_path / "witness"
    place.mkdir()
    key = rollup_signer(deployment.settings.state_dir, deployment.journal).key
    with watching(place, [key]) as watched:
        deployment.settings = replace(deployment.settings, witnesses=(watched.address,))
        yield watched


async def roll_up(centre: Centre) -> RollUps:
    """An hour passes: a roll-up of whatever is in the logs."""
    await centre.app.state.integration.round()
    centre.clock.offset += timedelta(hours=1)
    rollups = RollUps(centre.deployment)
    assert await rollups.round()
    return rollups


async def cosigned(centre: Centre) -> list[int]:
    query = select(tables.cosignature.c.size).order_by(tables.cosignature.c.size)
    return await Administrator(centre.urls.owner).run(lambda connection: list(connection.scalars(query)))


async def size(centre: Centre) -> int:
    query = select(func.count()).select_from(tables.rollup)
    return await Administrator(centre.urls.owner).run(
        lambda connection: connection.execute(query).scalar_one()
    )


async def contradictions(centre: Centre) -> int:
    await centre.app.state.integration.round()
    query = select(func.count()).where(tables.entry.c.action == "witness.contradict")
    return await Administrator(centre.urls.owner).run(
        lambda connection: connection.execute(query).scalar_one()
    )


async def bundle(centre: Centre) -> Mapping[str, bytes]:
    out, log = BytesIO(), centre.org("avec")
    await centre.deployment.database.snapshot(
        lambda connection: write_bundle(connection, log.bytes, out), log
    )
    with ZipFile(out) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


async def test_a_witness_signs_each_roll_up_and_a_bundle_proves_it(centre: Centre, witness: Watching) -> None:
    for _ in range(2):
        await (await roll_up(centre)).ask_witnesses()
    newest = await size(centre)
    assert await cosigned(centre) == [newest // 2, newest]
    await (await roll_up(centre)).round()
    members = await bundle(centre)
    receipt = Receipt.parse(members[ROLLUP_PROOF].decode())
    note = parse_checkpoint(receipt.note)
    head = note.checkpoint
    # The newest that a witness has signed, not the one that was rolled up since.
    assert head.size == newest
    key = rollup_signer(centre.deployment.settings.state_dir, centre.deployment.journal).key
    verify_checkpoint(note, [key], verify)
    assert verify_cosignature(note, witness.key, verify) > 1_700_000_000
    leaf = members[ROLLUP_LEAF]
    verify_inclusion(receipt.index, head.size, leaf_hash(leaf), receipt.proof, head.root)
    assert parse_text(leaf.decode()).origin == f"{NAME}/avec"


async def test_a_witness_that_is_away_holds_nothing_up_and_is_asked_again(
    centre: Centre, tmp_path: Path
) -> None:
    await centre.app.state.rollups.stop()
    await centre.sign_in("avec.social")
    key = rollup_signer(centre.deployment.settings.state_dir, centre.deployment.journal).key
    place = tmp_path / "witness"
    place.mkdir()
    with watching(place, [key]) as watched:
        pass
    settings = centre.deployment.settings
    centre.deployment.settings = replace(settings, witnesses=(watched.address,))
    rollups = await roll_up(centre)
    await rollups.ask_witnesses()
    assert (await cosigned(centre), await contradictions(centre)) == ([], 0)
    with watching(place, [key]) as again:
        centre.deployment.settings = replace(settings, witnesses=(again.address,))
        await rollups.ask_witnesses()
    assert await cosigned(centre) == [await size(centre)]


async def test_a_signature_that_was_lost_on_its_way_is_asked_for_again(
    centre: Centre, witness: Watching
) -> None:
    """The witness remembers more than we do: it says its size, and is given a proof from there."""
    rollups = await roll_up(centre)
    newest = await rollups.published()
    assert newest is not None
    async with httpx.AsyncClient(trust_env=False) as client:
        await ask(client, witness.address, AddCheckpoint(0, (), newest[1]))
        with pytest.raises(OtherSize) as other:
            await ask(client, witness.address, AddCheckpoint(0, (), newest[1]))
    assert other.value.size == newest[0].size
    await rollups.ask_witnesses()
    assert await cosigned(centre) == [newest[0].size]
    # And where the log grew meanwhile.
    again = await roll_up(centre)
    note = await again.published()
    assert note is not None
    await Administrator(centre.urls.owner).sql(
        *drop_triggers(centre.urls.owner.get_backend_name()), "DELETE FROM audit_cosignature"
    )
    await again.ask_witnesses()
    assert await cosigned(centre) == [note[0].size]


async def test_a_signature_that_could_not_be_kept_is_asked_for_again(
    centre: Centre, witness: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollups = await roll_up(centre)
    with monkeypatch.context() as patched:
        patched.setattr("casework.rollups.keep_cosignature", _lost)
        with pytest.raises(ConnectionError):
            await rollups.ask_witnesses()
    assert await cosigned(centre) == []
    await rollups.ask_witnesses()
    await rollups.ask_witnesses()
    assert await cosigned(centre) == [await size(centre)]


def _lost(*_arguments: object) -> None:
    raise ConnectionError


def _rewrite(connection: Connection, log: bytes, signer: NoteSigner, first: bytes | None) -> Checkpoint:
    """Compute a log's whole tree anew and sign every checkpoint of it again; `first`: other bytes of its entry 0.

    Without entries (the roll-up) the leaves are what `audit_rollup` says.
    """
    if first is not None:
        mine = (tables.entry.c.log == log) & (tables.entry.c.idx == 0)
        connection.execute(update(tables.entry).where(mine), {"bytes": first})
    entries = select(tables.entry.c.bytes).where(tables.entry.c.log == log).order_by(tables.entry.c.idx)
    leaves = [bytes(raw) for raw in connection.scalars(entries)]
    if log == ROLLUP_LOG:
        heads = connection.scalars(select(tables.rollup.c.head).order_by(tables.rollup.c.idx))
        leaves = [head.encode() for head in heads]
    for table in (tables.leaf, tables.subtree):
        connection.execute(delete(table).where(table.c.log == log))
    noted = tables.checkpoint
    sizes = set(connection.scalars(select(noted.c.size).where(noted.c.log == log)))
    frontier = Frontier()
    for index, leaf in enumerate(leaves):
        connection.execute(insert(tables.leaf), {"log": log, "idx": index, "hash": leaf_hash(leaf)})
        for level, place, node in frontier.append(leaf_hash(leaf)):
            row = {"log": log, "level": level, "idx": place, "hash": node}
            connection.execute(insert(tables.subtree), row)
        if frontier.size in sizes:
            note = sign_checkpoint(Checkpoint(signer.name, frontier.size, frontier.root()), [signer])
            mine = (noted.c.log == log) & (noted.c.size == frontier.size)
            connection.execute(update(noted).where(mine), {"note": note})
    return Checkpoint(signer.name, frontier.size, frontier.root())


async def test_a_superuser_who_rewrites_everything_with_every_key_is_found_by_the_witness(
    centre: Centre, witness: Watching
) -> None:
    """An entry, its tree, the roll-up, all signed anew with the stolen keys, and the state file: all agrees.

    Only the witness, which is elsewhere, has seen another history.
    """
    await (await roll_up(centre)).ask_witnesses()
    seen = await cosigned(centre)
    log, state_dir = centre.org("avec").bytes, centre.deployment.settings.state_dir
    signer = load_signer(state_dir, log, f"{NAME}/avec")
    rollup = rollup_signer(state_dir, centre.deployment.journal)

    def rewrite(connection: Connection) -> list[Checkpoint]:
        table = tables.rollup
        raw = connection.scalar(
            select(tables.entry.c.bytes).where(tables.entry.c.log == log, tables.entry.c.idx == 0)
        )
        forged = _rewrite(connection, log, signer, altered(bytes(raw or b"")))
        rolled = parse_text(
            connection.scalar(select(table.c.head).where(table.c.log == log).order_by(table.c.idx.desc()))
            or ""
        )
        note = connection.scalar(
            select(tables.checkpoint.c.note).where(
                tables.checkpoint.c.log == log, tables.checkpoint.c.size == rolled.size
            )
        )
        text = parse_checkpoint(note or "").checkpoint.text
        connection.execute(update(table).where(table.c.log == log), {"head": text})
        return [forged, _rewrite(connection, ROLLUP_LOG, rollup, None)]

    administrator = Administrator(centre.urls.owner)
    await administrator.sql(*drop_triggers(centre.urls.owner.get_backend_name()))
    heads = await administrator.run(rewrite)
    kept = {
        origin: SignerState(state_dir).last(origin)
        for origin in (NAME, *(f"{NAME}/{slug}" for slug in centre.founded))
    }
    (state_dir / STATE_FILE).unlink()
    SignerState(state_dir).publish([head for head in kept.values() if head and head.origin != signer.name])
    for origin in kept:
        SignerState(state_dir).begin(origin)
    SignerState(state_dir).publish(heads)
    # The service finds nothing: what is in its database agrees with what stands beside it.
    rollups = await roll_up(centre)
    await rollups.ask_witnesses()
    assert await cosigned(centre) == seen
    assert await contradictions(centre) == 1
    # Every minute it is refused again, and the journal says so once.
    await rollups.ask_witnesses()
    assert (await cosigned(centre), await contradictions(centre)) == (seen, 1)
    # What is exported carries the witness's signature of the other history, or none.
    members = await bundle(centre)
    note = parse_checkpoint(Receipt.parse(members[ROLLUP_PROOF].decode()).note)
    with pytest.raises(Exception, match="signature"):
        verify_cosignature(note, witness.key, verify)
    newest = await centre.deployment.database.snapshot(
        lambda connection: latest_checkpoint(connection, log), centre.org("avec")
    )
    verify_checkpoint(parse_checkpoint(newest), [signer.key], verify)


ANSWERS: list[tuple[httpx.Response, Refusal]] = [
    (httpx.Response(404), Refusal.UNKNOWN_LOG),
    (httpx.Response(403), Refusal.REFUSED),
    (httpx.Response(400), Refusal.REFUSED),
    (httpx.Response(422), Refusal.CONTRADICTED),
    (httpx.Response(500), Refusal.UNREACHABLE),
    (httpx.Response(302, headers={"location": "https://elsewhere.example/"}), Refusal.UNREACHABLE),
    (httpx.Response(409, content=b"5\n"), Refusal.REFUSED),
    (httpx.Response(409, headers={"content-type": "text/x.tlog.size"}, content=b"x\n"), Refusal.REFUSED),
    (httpx.Response(409, headers={"content-type": "text/x.tlog.size"}, content=b"3\n"), Refusal.CONTRADICTED),
    (httpx.Response(409, headers={"content-type": "text/x.tlog.size"}, content=b"6\n"), Refusal.CONTRADICTED),
    (
        httpx.Response(
            409,
            headers={"content-type": "text/x.tlog.size", "content-encoding": "gzip"},
            content=compress(b"3\n"),
        ),
        Refusal.REFUSED,
    ),
    (httpx.Response(200, content=b""), Refusal.REFUSED),
    (httpx.Response(200, content=b"\xff"), Refusal.REFUSED),
    (httpx.Response(200, content=b"x" * 20_000), Refusal.REFUSED),
    (httpx.Response(200, content="— witness.example/w AAAA\n".encode()), Refusal.REFUSED),
]


@pytest.mark.parametrize(("answer", "refusal"), ANSWERS)
async def test_what_a_witness_answers_that_is_not_its_signature_is_none(
    answer: httpx.Response, refusal: Refusal
) -> None:
    address = WitnessAddress("https://witness.example", WITNESS.key)
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer)) as client:
        with pytest.raises(NotCosigned) as refused:
            await ask(client, address, AddCheckpoint.parse(TREE.asked(3, 5)))
    assert refused.value.refusal is refusal


async def test_a_witness_that_answers_byte_by_byte_does_not_hold_up_the_roll_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each byte comes in time, and the answer never."""
    monkeypatch.setattr(witnesses, "ANSWER_WITHIN_SECONDS", 0.3)
    slow = Chatterer(b"HTTP/1.1 404 Not Found\r\nx: ", b"x", pieces=100, pause=0.02)
    async with chattering(slow) as url, httpx.AsyncClient() as client:
        with pytest.raises(NotCosigned) as refused:
            await ask(client, WitnessAddress(url, WITNESS.key), AddCheckpoint.parse(TREE.asked(3, 5)))
    assert refused.value.refusal is Refusal.UNREACHABLE
