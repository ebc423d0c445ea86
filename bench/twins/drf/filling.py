"""`python -m bench.twins.drf.filling URL SCALE`: make and fill the tables of the twin on Django."""

import sys
from typing import Any

import msgspec
from sqlalchemy import URL, make_url

from bench.scale import Scale
from bench.twins.drf.settings import configure
from bench.twins.population import Rows, populate

_BATCH = 2_000


def fill(url: URL, rows: Rows) -> None:
    """Create the tables and insert every row; on PostgreSQL the service's login may then use them."""
    from django.apps import apps
    from django.db import connection, transaction

    from bench.twins.drf import models

    with connection.schema_editor() as editor:
        for model in apps.get_app_config("drf").get_models():
            editor.create_model(model)
    versions: dict[Any, Any] = {}
    with transaction.atomic():
        for table, model in _models(models):
            of_table = rows.get(table, [])
            for start in range(0, len(of_table), _BATCH):
                batch = [model(**_fields(table, row, versions)) for row in of_table[start : start + _BATCH]]
                model.objects.bulk_create(batch)
                if table == "follow_up":
                    versions.update((made.stable, made.pk) for made in batch)
        if url.get_backend_name() == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO casework_app")
                cursor.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO casework_app")


def _models(models: Any) -> list[tuple[str, Any]]:
    return [
        ("organisation", models.Organisation),
        ("account", models.Account),
        ("membership", models.Membership),
        ("team", models.Team),
        ("team_member", models.TeamMember),
        ("case_file", models.CaseFile),
        ("case_group", models.CaseGroup),
        ("assignment", models.Assignment),
        ("follow_up", models.FollowUp),
        ("follow_up_text", models.FollowUpText),
    ]


def _fields(table: str, row: dict[str, Any], versions: dict[Any, Any]) -> dict[str, Any]:
    """A row's columns under the names of the model's fields."""
    if table in {"organisation", "account", "membership", "team"}:
        return row
    fields = {name: value for name, value in row.items() if name != "org_id"}
    if table == "case_file":
        creator = fields.pop("created_by")
        return {**fields, "org_id": row["org_id"], "created_by_id": creator}
    if table == "follow_up":
        stable = fields.pop("id")
        return {**fields, "stable": stable}
    if table == "follow_up_text":
        del fields["version"]
        return {**fields, "follow_up_id": versions[fields["follow_up_id"]]}
    return fields


def main(address: str, scale: str) -> None:
    url = make_url(address)
    configure(url)
    fill(url, populate(msgspec.json.decode(scale, type=Scale)).rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
