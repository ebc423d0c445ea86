"""A URL's query, read strictly: a parameter that could be read in two ways is refused, not guessed."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, get_args
from urllib.parse import parse_qsl

from litestar import Request
from litestar.typing import FieldDefinition

from casework.errors import BadInput, FieldError

# What the decoder would read as nothing sent, so that what was to be narrowed would not be.
_NULL: Final = "null"
# It would take a number for a time, in seconds.
_BEGINS_AS_A_TIME: Final = re.compile(r"\d{4}-")


def require_plain_query(request: Request[Any, Any, Any]) -> None:
    """Let a query through that names each parameter of its route once, none as `null`, and no time as a number.

    A parameter that is a list is named as often as it has values.

    Raises:
        BadInput: names the parameters.

    """
    asked = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    if not asked:
        return
    # What the route does not know is ignored, and repeated by no problem.
    given = {name: [value for other, value in asked if other == name] for name, _ in asked}
    errors = []
    for own_name, field in request.route_handler.parsed_fn_signature.parameters.items():
        name = getattr(field.kwarg_definition, "name", None) or own_name
        broken = _broken_rule(field, given.get(name, []))
        if broken is not None:
            errors.append(FieldError(name, broken))
    if errors:
        raise BadInput(errors=errors)


def _broken_rule(field: FieldDefinition, values: Sequence[str]) -> str | None:
    if len(values) > 1 and not _takes_several(field):
        return "given_twice"
    if any(value.lower() == _NULL for value in values):
        return "wrong_type"
    is_a_time = datetime in get_args(field.annotation)
    if is_a_time and not all(_BEGINS_AS_A_TIME.match(value) for value in values):
        return "not_a_time"
    return None


def _takes_several(field: FieldDefinition) -> bool:
    return any(one.is_non_string_sequence for one in (field, *field.inner_types))
