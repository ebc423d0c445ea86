"""`python -m bench.twins.serving NAME URL PORT`: one twin under uvicorn, on the loopback interface."""

import sys
from importlib import import_module

import uvicorn
from sqlalchemy import make_url


def main(name: str, url: str, port: str) -> None:
    app = import_module(f"bench.twins.{name}").make_app(make_url(url))
    # Django in threads that keep their connection, as it is written for; under ASGI each request opens one anew.
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        interface="wsgi" if name == "drf" else "auto",
        access_log=False,
        server_header=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
