"""The API page and its files come from this server alone and keep to the policy that is sent with them."""

import re
import tomllib
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from casework.web.api_page import STATIC, assets
from casework.web.security import CONTENT_SECURITY_POLICY
from tests.casework.centre import Centre

# Nothing here depends on the database.
pytestmark = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
VENDORED = STATIC / "vendor" / "swagger-ui"


class Page(HTMLParser):
    """What a page loads, and what it says inline."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self.language = ""
        self._script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self._script = tag == "script"
        if tag == "html":
            self.language = attributes["lang"] or ""
        if tag == "style" or any(name == "style" or name.startswith("on") for name in attributes):
            self.inline.append(tag)
        loaded = attributes.get("src") or (attributes.get("href") if tag == "link" else None)
        if loaded:
            self.loaded.append(loaded)

    def handle_data(self, data: str) -> None:
        if self._script and data.strip():
            self.inline.append("script")

    def handle_endtag(self, tag: str) -> None:
        self._script = False


async def test_the_page_has_no_inline_code_and_loads_from_this_server_alone(
    centre: Centre, engine_name: str
) -> None:
    answer = await centre.http.get("/api")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    page = Page(answer.text)
    assert page.language == "fr"
    assert "<title>Casework – API</title>" in answer.text
    assert page.inline == []
    loaded = [url for url in page.loaded if url != "data:,"]
    assert len(loaded) == 4
    for url in loaded:
        assert url.startswith("/static/")
        assert (await centre.http.get(url)).status_code == 200


async def test_the_page_asks_for_the_document_and_for_nothing_elsewhere(
    centre: Centre, engine_name: str
) -> None:
    script = (await centre.http.get("/static/api.js")).text
    assert 'url: "/api/openapi.json"' in script
    assert "validatorUrl: null" in script
    assert not re.search(r"https?:", script)


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("api.js", "text/javascript; charset=utf-8"),
        ("api.css", "text/css; charset=utf-8"),
        ("vendor/swagger-ui/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ],
)
async def test_a_static_file_has_its_media_type_and_a_hash_that_is_answered_once(
    centre: Centre, engine_name: str, path: str, media_type: str
) -> None:
    answer = await centre.http.get(f"/static/{path}")
    content = (STATIC / path).read_bytes()
    assert answer.content == content
    assert answer.headers["content-type"] == media_type
    assert answer.headers["etag"] == f'"{sha256(content).hexdigest()}"'
    again = await centre.http.get(f"/static/{path}", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = await centre.http.get(f"/static/{path}", headers={"if-none-match": '"other"'})
    assert other.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static",
        "/static/",
        "/static/vendor",
        "/static/..%2fapi_page.py",
        "/static/%2e%2e/api_page.py",
        "/static//etc/passwd",
        "/static/vendor/swagger-ui/VERSIONS.toml",
        "/static/absent.js",
    ],
)
async def test_nothing_but_the_listed_files_is_served(centre: Centre, engine_name: str, path: str) -> None:
    assert (await centre.http.get(path)).status_code == 404


def test_only_scripts_styles_and_notices_are_listed(engine_name: str) -> None:
    assert set(assets()) == {
        "api.css",
        "api.js",
        "vendor/swagger-ui/swagger-ui-bundle.js",
        "vendor/swagger-ui/swagger-ui-bundle.js.LICENSE.txt",
        "vendor/swagger-ui/swagger-ui.css",
    }


def test_vendored_files_are_those_of_the_package(engine_name: str) -> None:
    versions = tomllib.loads((VENDORED / "VERSIONS.toml").read_text(encoding="utf-8"))
    assert (versions["name"], versions["version"]) == ("swagger-ui-dist", "5.35.0")
    assert versions["licence"] == "Apache-2.0"
    found = {
        path.name: sha256(path.read_bytes()).hexdigest()
        for path in VENDORED.iterdir()
        if path.name != "VERSIONS.toml"
    }
    assert found == versions["sha256"]
