"""Django's settings for the twin on Django REST framework, from the database's address."""

from typing import Any

import django
from django.conf import settings
from sqlalchemy import URL

BUSY_SECONDS = 30


def configure(url: URL) -> None:
    settings.configure(
        SECRET_KEY="of-a-bench",  # noqa: S106 - signs nothing
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="bench.twins.drf.views",
        INSTALLED_APPS=["bench.twins.drf", "rest_framework"],
        MIDDLEWARE=[],
        USE_TZ=True,
        LOGGING_CONFIG=None,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DATABASES={"default": _database(url)},
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": ["bench.twins.drf.sessions.BearerAuthentication"],
            "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
            "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
            "UNAUTHENTICATED_USER": None,
        },
    )
    django.setup()


def _database(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        options = {"timeout": BUSY_SECONDS, "transaction_mode": "IMMEDIATE", "init_command": pragmas}
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": url.database,
            "OPTIONS": options,
            "CONN_MAX_AGE": None,
        }
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.database,
        "USER": url.username,
        "HOST": url.query["host"],
        "CONN_MAX_AGE": None,
    }
