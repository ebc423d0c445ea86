"""`casework alert test`, and that what the running service finds reaches a webhook outside it."""

import asyncio
import json
from pathlib import Path

import pytest
from httpx import AsyncClient

from audit.state import FILE_NAME
from tests.casework.alerting.receivers import mail_server, webhook_receiver
from tests.casework.alerting.test_config import SECRET, write
from tests.casework.commands.place import Place, start

PATIENCE_SECONDS = 60


@pytest.fixture
def engine_name() -> str:
    """What is told does not depend on the engine."""
    return "sqlite"


def hook(folder: Path, url: str, more: str = "") -> str:
    toml = '[deployment]\nwebhook = { url_file = "FOLDER/url", secret_file = "FOLDER/secret" }\n'
    return str(write(folder, toml + more, url=url, secret=SECRET))


async def test_a_trial_goes_through_every_channel_and_one_that_refuses_is_named(
    founded: Place, tmp_path: Path
) -> None:
    async with mail_server(None) as mailbox, webhook_receiver() as receiver:
        receiver.answer = "403 Forbidden"
        more = (
            f'[organisations.avec]\nmail = ["auditrice@example.org"]\n[smtp]\nhost = "127.0.0.1"\n'
            f'port = {mailbox.port}\nsecurity = "none"\nsender = "casework@example.org"\n'
        )
        file = hook(tmp_path, receiver.url, more)
        ran = await asyncio.to_thread(founded.run, "alert", "test", CASEWORK_ALERTS_FILE=file)
        assert (ran.code, ran.out) == (1, "webhook:.deployment : refusé (status 403)\nmail:avec : pris\n")
        receiver.answer = "204 No Content"
        ran = await asyncio.to_thread(founded.run, "alert", "test", CASEWORK_ALERTS_FILE=file)
        assert ran.code == 0
    assert [mail["Subject"] for mail in mailbox.mails] == ["[centre.example.org] Essai des alertes"] * 2


def test_without_a_file_nobody_is_told_and_the_command_says_so(founded: Place) -> None:
    ran = founded.run("alert", "test")
    assert (ran.code, ran.err) == (
        1,
        "CASEWORK_ALERTS_FILE : n’est pas défini : personne n’est prévenu.\n",
    )


def test_the_service_does_not_start_on_a_file_that_names_an_unknown_organisation(
    founded: Place, tmp_path: Path
) -> None:
    file = write(tmp_path, "[organisations.nobody]\n")
    environment = {**founded.environment, "CASEWORK_ALERTS_FILE": str(file)}
    process = start("serve", "--port", "0", environment=environment)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, out) == (1, "")
    assert err.endswith(
        "CASEWORK_ALERTS_FILE\N{NO-BREAK SPACE}: organisations\N{NO-BREAK SPACE}:"
        " nomme une organisation que ce déploiement n’a pas.\n"
    )


async def test_a_journal_that_is_not_what_was_published_reaches_the_webhook(
    founded: Place, tmp_path: Path
) -> None:
    """The signer's state says that more was published than the database holds, as after a rollback."""
    await asyncio.to_thread(founded.integrate)
    state = founded.state / FILE_NAME
    content = json.loads(state.read_bytes())
    for head in content["logs"].values():
        head["size"] += 1_000
    state.write_text(json.dumps(content))
    async with webhook_receiver() as receiver:
        environment = {
            **founded.environment,
            "CASEWORK_ALERTS_FILE": hook(tmp_path, receiver.url),
        }
        process = start("serve", "--port", "0", environment=environment)
        try:
            assert process.stderr is not None
            port = json.loads(await asyncio.to_thread(process.stderr.readline))["port"]
            async with AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS) as client:
                await client.post("/api/v1/sessions", json={"login": "nobody", "password": "no words"})
            async with asyncio.timeout(PATIENCE_SECONDS):
                while json.loads(await receiver.arrivals.get())["type"] != "casework.journal_refused":
                    pass
        finally:
            process.kill()
            process.communicate()
