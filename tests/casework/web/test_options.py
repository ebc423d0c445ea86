"""OPTIONS tells every method of a path, in whatever order its handlers were registered."""

import re

from litestar.routes import HTTPRoute

from tests.casework.centre import Centre


async def test_every_method_of_a_path_is_told(centre: Centre) -> None:
    routes = [route for route in centre.app.routes if isinstance(route, HTTPRoute)]
    several = 0
    for route in routes:
        if not route.path_format.startswith(("/api/v1/", "/health/")):
            continue
        path = route.path_format.replace("{group}", "social").replace("{", "").replace("}", "")
        path = re.sub(r"\w+_id\b", "01936c00-0000-7000-8000-000000000001", path)
        answer = await centre.http.options(path)
        assert answer.status_code == 204, path
        assert not answer.content
        assert answer.headers["allow"].split(", ") == sorted(map(str, route.methods)), path
        several += len(route.methods) > 2
    assert several >= 3
