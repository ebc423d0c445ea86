"""The file of who is told: what is missing or unsafe is refused by the name of its field, and never shown."""

from base64 import b64encode
from pathlib import Path

import pytest

from casework.alerting.config import AlertSettings, read_settings, require_known
from casework.alerting.words import WORDS
from casework.alerts import AlertKind
from casework.settings import SettingRefused

SMTP = '[smtp]\nhost = "mail.example.org"\nport = 587\nsender = "casework@example.org"\n'
SECRET = "whsec_" + b64encode(bytes(32)).decode()


def write(folder: Path, toml: str, **files: str) -> Path:
    for name, content in files.items():
        (folder / name).write_text(content)
        (folder / name).chmod(0o600)
    path = folder / "alerts.toml"
    path.write_text(toml.replace("FOLDER", str(folder)))
    return path


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    hook = '{ url_file = "FOLDER/url", secret_file = "FOLDER/secret" }'
    path = write(
        tmp_path,
        f'{SMTP}security = "tls"\nuser = "casework"\npassword_file = "FOLDER/password"\n'
        f'[deployment]\nmail = ["garde@example.org"]\nwebhook = {hook}\n'
        '[organisations.avec]\nmail = ["auditrice@example.org"]\n',
        url="https://hooks.example.org/a-token",
        secret=SECRET,
        password="secret",
    )
    settings = read_settings(path)
    assert settings.deployment.mail == ("garde@example.org",)
    assert settings.organisations["avec"].mail == ("auditrice@example.org",)
    require_known(settings, ["avec", "cidff"])
    with pytest.raises(SettingRefused, match="organisations"):
        require_known(settings, ["cidff"])


HOOK = '[deployment]\nwebhook = { url_file = "FOLDER/url", secret_file = "FOLDER/secret" }\n'


@pytest.mark.parametrize(
    ("toml", "field", "files"),
    [
        ("not toml", "is not TOML", {}),
        ('[smtp]\nhost = "m"\nport = 0\nsender = "a@b.example"\n', "smtp.port", {}),
        (SMTP + 'security = "canary"\n', "smtp.security", {}),
        (SMTP + 'security = "none"\n', "smtp.security", {}),
        (SMTP + 'user = "u"\n', "smtp.user", {}),
        (SMTP + 'user = "u"\npassword_file = "FOLDER/canary"\n', "smtp.password_file", {}),
        (SMTP + "canary = 1\n", "smtp", {}),
        ('[deployment]\nmail = ["a@example.org"]\n', "deployment.mail", {}),
        (SMTP + '[deployment]\nmail = ["canary"]\n', "deployment.mail", {}),
        (SMTP + '[deployment]\nmail = ["a@example.org, canary@example.org"]\n', "deployment.mail", {}),
        (HOOK, "deployment.webhook.url_file", {}),
        (HOOK, "deployment.webhook.url_file", {"url": "http://canary.example.org/"}),
        (HOOK, "deployment.webhook.url_file", {"url": "canary"}),
        (HOOK, "deployment.webhook.url_file", {"url": "https://a.example.org/\nhttps://canary.example.org/"}),
        (HOOK, "deployment.webhook.secret_file", {"url": "https://a.example.org/"}),
        (HOOK, "deployment.webhook.secret_file", {"url": "https://a.example.org/", "secret": "canary"}),
        (HOOK, "deployment.webhook.secret_file", {"url": "https://a.example.org/", "secret": "whsec_AAAA"}),
    ],
)
def test_what_is_unsafe_is_refused_by_its_field(
    tmp_path: Path, toml: str, field: str, files: dict[str, str]
) -> None:
    with pytest.raises(SettingRefused) as refused:
        read_settings(write(tmp_path, toml, **files))
    assert str(refused.value).startswith("CASEWORK_ALERTS_FILE: ")
    assert field in str(refused.value)
    assert "canary" not in str(refused.value)


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, HOOK, url="https://a.example.org/", secret=SECRET)
    (tmp_path / "secret").chmod(0o640)
    with pytest.raises(SettingRefused, match=r"deployment\.webhook\.secret_file: must be its owner's alone"):
        read_settings(path)
    (tmp_path / "secret").chmod(0o600)
    read_settings(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingRefused, match="is not a readable file"):
        read_settings(tmp_path / "none.toml")
    assert read_settings(write(tmp_path, "")) == AlertSettings()


def test_every_kind_has_its_words() -> None:
    assert WORDS.keys() == set(AlertKind)
