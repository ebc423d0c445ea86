"""Django REST framework in the usual way: views, serializers and the ORM, under WSGI."""

from typing import Any

from sqlalchemy import URL


def make_app(url: URL) -> Any:
    from django.core.wsgi import get_wsgi_application

    from bench.twins.drf.settings import configure

    configure(url)
    return get_wsgi_application()
