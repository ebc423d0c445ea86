"""Where a worker's password and her cases may be sent."""

import pytest

from casework.imports.errors import ImportRefused
from casework.imports.session import make_client


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000",
        "http://127.8.9.1",
        "http://[::1]:8000/",
        "http://localhost",
        "https://a.example",
    ],
)
async def test_this_machine_or_an_encrypted_connection(url: str) -> None:
    async with make_client(url) as http:
        assert not http.follow_redirects
        assert not http.trust_env


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://casework.example", "https://"),
        ("http://192.168.1.4:8000", "https://"),
        ("http://localhost.example", "https://"),
        ("http://127.0.0.1.example", "https://"),
        ("ftp://127.0.0.1", "adresse comme"),
        ("127.0.0.1:8000", "adresse"),
        ("https://", "adresse comme"),
        ("https://a.example/api", "adresse comme"),
        ("https://canari:canari@a.example", "adresse comme"),
        ("https://a.example?canari", "adresse comme"),
        ("http://127.0.0.1:canari", "pas une adresse"),
    ],
)
def test_any_other_address_is_refused_and_not_echoed(url: str, words: str) -> None:
    with pytest.raises(ImportRefused, match=words) as refused:
        make_client(url)
    assert "canari" not in str(refused.value)
