"""JSON Schema (2020-12, as OpenAPI 3.1 has it) of what goes over the wire, from the types that msgspec decodes.

Litestar's own schemas and msgspec's leave out what a strict client needs: closed objects, the keys of a mapping,
which strings are times, constraints of items.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from msgspec import inspect

Schema = dict[str, Any]

_REFERENCE: Final = "#/components/schemas/"
# Python's anchors of a whole string, in the dialect of JSON Schema.
_ANCHORS: Final = ((r"\A", "^"), (r"\Z", "$"))
CONSTRAINTS: Final = {
    "ge": "minimum",
    "le": "maximum",
    "gt": "exclusiveMinimum",
    "lt": "exclusiveMaximum",
    "pattern": "pattern",
}
_LENGTHS: Final = {
    inspect.StrType: ("minLength", "maxLength"),
    inspect.ListType: ("minItems", "maxItems"),
    inspect.DictType: ("minProperties", "maxProperties"),
}
_PLAIN: Final[dict[type, Schema]] = {
    inspect.AnyType: {},
    inspect.NoneType: {"type": "null"},
    inspect.BoolType: {"type": "boolean"},
    inspect.IntType: {"type": "integer"},
    inspect.FloatType: {"type": "number"},
    inspect.StrType: {"type": "string"},
    inspect.DateTimeType: {"type": "string", "format": "date-time"},
    inspect.DateType: {"type": "string", "format": "date"},
    inspect.UUIDType: {"type": "string", "format": "uuid"},
}


class UndescribedType(Exception):
    """A type is on the wire that no schema is known for."""


class WireTypes:
    """The schemas of a set of types. `components` holds the named ones, which the others refer to.

    Raises:
        UndescribedType: names the type.

    """

    def __init__(self, kinds: Iterable[Any]) -> None:
        self.components: dict[str, Schema] = {}
        self._infos = {kind: inspect.type_info(kind) for kind in dict.fromkeys(kinds)}
        named: dict[type, None] = {}
        for info in self._infos.values():
            _collect(info, named)
        self._uses = Counter(cls.__name__ for cls in named)
        self._schemas = {kind: self._describe(info) for kind, info in self._infos.items()}

    def of(self, kind: Any) -> Schema:
        return dict(self._schemas[kind])

    def _describe(self, info: inspect.Type) -> Schema:
        schema = self._shape(info) | _constraints(info)
        if isinstance(info, inspect.DictType):
            keys = self._describe(info.key_type)
            if keys != _PLAIN[inspect.StrType]:
                schema["propertyNames"] = keys
        return schema

    def _shape(self, info: inspect.Type) -> Schema:
        match info:
            case inspect.StructType() | inspect.EnumType():
                schema = self._refer(info)
            case inspect.LiteralType():
                schema = {"enum": list(info.values)}
            case inspect.ListType():
                schema = {"type": "array", "items": self._describe(info.item_type)}
            case inspect.DictType():
                schema = {"type": "object", "additionalProperties": self._describe(info.value_type)}
            case inspect.UnionType():
                # Null last, whatever the order it was written in.
                parts = sorted(info.types, key=lambda part: isinstance(part, inspect.NoneType))
                schema = {"anyOf": [self._describe(part) for part in parts]}
            case inspect.Metadata():
                schema = self._describe(info.type) | (info.extra_json_schema or {})
            case _ if type(info) in _PLAIN:
                schema = dict(_PLAIN[type(info)])
            case _:
                raise UndescribedType(type(info).__name__)
        return schema

    def _refer(self, info: inspect.StructType | inspect.EnumType) -> Schema:
        name = info.cls.__name__
        if self._uses[name] > 1:
            name = f"{info.cls.__module__.split('.')[-2].title().replace('_', '')}{name}"
        if name not in self.components:
            # Set first: a struct may hold itself.
            self.components[name] = {}
            self.components[name] = {"title": name} | _description(info.cls) | self._define(info)
        return {"$ref": _REFERENCE + name}

    def _define(self, info: inspect.StructType | inspect.EnumType) -> Schema:
        if isinstance(info, inspect.EnumType):
            return {"type": "string", "enum": [member.value for member in info.cls]}
        properties = {}
        for field in info.fields:
            properties[field.encode_name] = self._describe(field.type)
            if isinstance(field.default, bool | int | str):
                properties[field.encode_name]["default"] = field.default
        schema: Schema = {"type": "object", "properties": properties}
        required = [field.encode_name for field in info.fields if field.required]
        if required:
            schema["required"] = required
        if info.forbid_unknown_fields:
            schema["additionalProperties"] = False
        return schema


def _constraints(info: inspect.Type) -> Schema:
    found = {
        name: getattr(info, attribute)
        for attribute, name in CONSTRAINTS.items()
        if getattr(info, attribute, None) is not None
    }
    for attribute, name in zip(("min_length", "max_length"), _LENGTHS.get(type(info), ()), strict=False):
        if getattr(info, attribute) is not None:
            found[name] = getattr(info, attribute)
    if "pattern" in found:
        found["pattern"] = portable_pattern(found["pattern"])
    return found


def portable_pattern(pattern: str) -> str:
    for python, portable in _ANCHORS:
        pattern = pattern.replace(python, portable)
    return pattern


def _description(cls: type) -> Schema:
    # `__dict__`: a class without a docstring must not show its base's.
    text = cls.__dict__.get("__doc__")
    return {"description": " ".join(text.split())} if text else {}


def _collect(info: inspect.Type, named: dict[type, None]) -> None:
    """Every struct and enum that a type is made of."""
    if isinstance(info, inspect.StructType | inspect.EnumType):
        if info.cls in named:
            return
        named[info.cls] = None
    for part in _parts(info):
        _collect(part, named)


def _parts(info: inspect.Type) -> list[inspect.Type]:
    match info:
        case inspect.StructType():
            return [field.type for field in info.fields]
        case inspect.ListType():
            return [info.item_type]
        case inspect.DictType():
            return [info.key_type, info.value_type]
        case inspect.UnionType():
            return list(info.types)
        case inspect.Metadata():
            return [info.type]
        case _:
            return []
