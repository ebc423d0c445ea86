"""`/api`: the page that shows the OpenAPI document, and the static files that it and other pages are made of."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from litestar import Request, Response, Router, get
from litestar.enums import MediaType
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.params import FromPath

from casework.routing import public
from casework.web.openapi import OpenApiDocument, operation_id

STATIC: Final = Path(__file__).parent / "static"
_MEDIA_TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
_PAGE: Final = """\
<!doctype html>
<html lang="fr">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Casework – API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/vendor/swagger-ui/swagger-ui.css">
<link rel="stylesheet" href="/static/api.css">
<script src="/static/vendor/swagger-ui/swagger-ui-bundle.js" defer></script>
<script src="/static/api.js" defer></script>
</head>
<body>
<header class="preface">
<h1>Casework – API</h1>
<p>Cette page présente l’API du service, en anglais, telle que la décrit le document
<a href="/api/openapi.json">OpenAPI 3.1</a>. Les exemples sont fictifs.</p>
<p>Pour essayer un appel, ouvrez une session avec <code>POST /api/v1/sessions</code>, donnez le second facteur,
puis collez le jeton reçu sous « Authorize ». Il n’est conservé que le temps de la page.
Chaque appel agit pour de bon et s’inscrit au journal.</p>
<noscript><p>Cette page a besoin de JavaScript. Le document ci-dessus se lit sans.</p></noscript>
</header>
<main id="api" lang="en"></main>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    media_type: str
    etag: str


@cache
def assets() -> dict[str, Asset]:
    """The files that may be served, by their path under `static`; what is not here cannot be asked for."""
    return {
        path.relative_to(STATIC).as_posix(): _read(path)
        for path in sorted(STATIC.rglob("*"))
        if path.suffix in _MEDIA_TYPES
    }


@get(
    "/static/{path:path}",
    opt=public(because="scripts and styles hold nothing of anyone"),
    include_in_schema=False,
)
async def serve_asset(request: Request[Any, Any, Any], path: FromPath[str]) -> Response[bytes]:
    """One static file, or 304 where the client has it already."""
    asset = assets().get(path.removeprefix("/"))
    if asset is None:
        raise NotFoundException
    headers = {"etag": asset.etag}
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(content=b"", status_code=304, media_type=asset.media_type, headers=headers)
    return Response(content=asset.content, media_type=asset.media_type, headers=headers)


class ApiPage(OpenAPIRenderPlugin):
    """Shows the document with a viewer of our own server's; Litestar's pages load theirs from elsewhere."""

    def __init__(self) -> None:
        super().__init__(path="/", media_type=MediaType.HTML)

    def render(self, *_: object, **__: object) -> bytes:
        return _PAGE.encode()


def openapi_config() -> OpenAPIConfig:
    """The page at `/api` and the document at `/api/openapi.json`."""
    return OpenAPIConfig(
        title="casework",
        version="1",
        operation_id_creator=operation_id,
        render_plugins=[ApiPage(), OpenApiDocument()],
        openapi_router=Router(
            "/api", route_handlers=[], before_request=_refuse_unknown, include_in_schema=False
        ),
        use_handler_docstrings=True,
    )


async def _refuse_unknown(request: Request[Any, Any, Any]) -> None:
    # Litestar answers any other path below the document's own with a page in HTML.
    if "path" in request.path_params:
        raise NotFoundException


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    return Asset(content, _MEDIA_TYPES[path.suffix], f'"{sha256(content).hexdigest()}"')


ROUTES: tuple[HTTPRouteHandler, ...] = (serve_asset,)
