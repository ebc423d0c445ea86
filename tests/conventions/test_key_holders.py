"""Every class that holds a key or a password shows none: not in a repr, a log line, an error, a traceback, a copy.

The classes are found, not listed: one that is added tomorrow and leaks is found tomorrow.
"""

import base64
import copy
import dataclasses
import importlib
import inspect
import io
import json
import pickle
import pkgutil
import re
import traceback
import typing
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from functools import cache
from types import ModuleType
from typing import Any

import msgspec
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV
from rich.console import Console
from rich.traceback import Traceback

import casework
import crypto
from crypto.secret import Secret

CANARY = b"canary-of-32-bytes-in-all-keys!\xff"
CANARY_TEXT = "canary-typed-by-hand"
KEYS: frozenset[type] = frozenset({Secret, AESGCM, AESGCMSIV, Ed25519PrivateKey, X25519PrivateKey})
# What a field is called that holds, as plain bytes or text, what opens something.
TELLING = re.compile(
    r"(^|_)(password|passwords|passphrase|secret|seed|token|half|halves|shreds|shred_part|mapping_part|part_key"
    r"|private|private_key|totp|totp_secret|totp_seed|salt|share|shares)$"
)
# What is called so and opens nothing, with the reason.
NO_SECRET = {
    ("casework.identity.wrapping", "Stretched", "salt"): "a password's salt stands in clear",
    ("casework.identity.renewals", "_Looked", "salt"): "a password's salt stands in clear",
}


def modules() -> Iterator[ModuleType]:
    for package in (crypto, casework):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(module.name)


def every_class() -> list[type]:
    found = {
        value
        for module in modules()
        for value in vars(module).values()
        if inspect.isclass(value) and value.__module__ == module.__name__
    }
    return sorted(found, key=lambda kind: (kind.__module__, kind.__qualname__))


def hints(kind: type) -> dict[str, Any]:
    """The types of a class's fields; of a plain class, of what its maker is given."""
    told: Any = kind if dataclasses.is_dataclass(kind) or issubclass(kind, msgspec.Struct) else kind.__init__
    try:
        found = typing.get_type_hints(told)
    except (NameError, TypeError, AttributeError):
        # A slot wrapper of the interpreter, or an enumeration's maker.
        return {}
    return {name: hint for name, hint in found.items() if name != "return"}


def mentions(hint: Any, kinds: AbstractSet[type]) -> bool:
    if isinstance(hint, list | tuple):
        return any(mentions(one, kinds) for one in hint)
    return (isinstance(hint, type) and hint in kinds) or mentions(typing.get_args(hint), kinds)


def is_told_by_name(kind: type, name: str, hint: Any) -> bool:
    is_plain = mentions(hint, {bytes, str}) and not mentions(hint, {Callable})  # type: ignore[arg-type]
    return (
        is_plain
        and TELLING.search(name) is not None
        and (kind.__module__, kind.__qualname__, name) not in NO_SECRET
    )


@cache
def key_holders() -> list[type]:
    """Classes with a field that is a key, or of a class that has one."""
    classes, holders = every_class(), set(KEYS)
    while True:
        more = {
            kind
            for kind in classes
            if kind not in holders and any(mentions(hint, holders) for hint in hints(kind).values())
        }
        if not more:
            break
        holders |= more
    return [kind for kind in classes if kind in holders and kind is not Secret]


@cache
def text_holders() -> list[type]:
    return [
        kind
        for kind in every_class()
        if any(is_told_by_name(kind, name, hint) for name, hint in hints(kind).items())
    ]


def made(hint: Any, *, is_secret: bool, depth: int = 0) -> Any:  # noqa: PLR0911, C901 - a line for each kind of type
    """A value of a type; keys, and what is called secret, are the canary."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Secret:
        return Secret(CANARY)
    if hint in (AESGCM, AESGCMSIV):
        return hint(CANARY)
    if hint is Ed25519PrivateKey or hint is X25519PrivateKey:
        return hint.from_private_bytes(CANARY)
    if hint is bytes:
        return CANARY if is_secret else b"plain"
    if hint is str:
        return CANARY_TEXT if is_secret else "plain"
    if origin is typing.Annotated:
        return made(arguments[0], is_secret=is_secret, depth=depth)
    if origin is tuple:
        return tuple(made(one, is_secret=is_secret, depth=depth) for one in arguments if one is not Ellipsis)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        key, value = arguments
        return {_hashable(key, depth): made(value, is_secret=is_secret, depth=depth)}
    if origin in (list, set, frozenset) or (
        isinstance(origin, type) and issubclass(origin, typing.Collection)
    ):
        return [made(arguments[0], is_secret=is_secret, depth=depth)]
    if arguments and origin is not None:
        # A union: its first part, which is never None here.
        return made(arguments[0], is_secret=is_secret, depth=depth)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    if isinstance(hint, type) and hint in _HOLDERS and depth < 4:
        return instance(hint, depth + 1)
    return None


def _hashable(hint: Any, depth: int) -> Any:
    value = made(hint, is_secret=False, depth=depth)
    try:
        hash(value)
    except TypeError:
        return "key"
    return value


def instance(kind: type, depth: int = 0) -> Any:
    """An instance with a canary in each of its secrets, made without its maker and so unchecked."""
    values = {
        name: made(hint, is_secret=is_told_by_name(kind, name, hint), depth=depth)
        for name, hint in hints(kind).items()
    }
    if issubclass(kind, msgspec.Struct):
        return kind(**{name: values.get(name) for name in kind.__struct_fields__})
    bare = object.__new__(kind)
    names = (
        [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else list(values)
    )
    for name in names:
        if dataclasses.is_dataclass(kind) or not hasattr(kind, "__slots__"):
            object.__setattr__(bare, name, values.get(name))
    return bare


_HOLDERS = frozenset((*key_holders(), *text_holders()))


def spellings(secret: bytes) -> list[str]:
    return [
        secret.hex(),
        repr(secret)[2:-1],
        base64.b64encode(secret).decode().rstrip("="),
        base64.urlsafe_b64encode(secret).decode().rstrip("="),
        str(list(secret))[1:-1],
        str(int.from_bytes(secret)),
    ]


def assert_shows_nothing(shown: str, of: str) -> None:
    for spelling in (*spellings(CANARY), CANARY_TEXT):
        assert spelling not in shown, of


def traceback_of(holder: object) -> str:
    """What is printed of an error whose argument, and a local, the holder is: with every local shown."""

    def fail() -> None:
        local = holder
        raise RuntimeError(local)

    try:
        fail()
    except RuntimeError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
        rich = io.StringIO()
        Console(file=rich, width=200).print(
            Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True)
        )
        return shown + rich.getvalue() + str(error) + repr(error)
    raise AssertionError


def named(kinds: list[type]) -> Any:
    return pytest.mark.parametrize(
        "kind", kinds, ids=[f"{kind.__module__}.{kind.__qualname__}" for kind in kinds]
    )


@named([Secret, *dict.fromkeys((*key_holders(), *text_holders()))])
def test_what_opens_something_is_shown_nowhere(kind: type) -> None:
    holder = Secret(CANARY) if kind is Secret else instance(kind)
    for of, shown in {
        "repr": repr(holder),
        "str": str(holder),
        "f-string": f"{holder} {holder!s} {holder!r:>10}",
        "percent": "%s %r" % (holder, holder),  # noqa: UP031 - a way to format, too
        "inside others": repr([{"holder": (holder,)}]),
        "traceback": traceback_of(holder),
        "log": str(structlog.processors.JSONRenderer()(None, "info", {"event": "opened", "holder": holder})),
        "console log": structlog.dev.ConsoleRenderer(colors=False)(
            None, "info", {"event": "opened", "holder": holder}
        ),
    }.items():
        assert_shows_nothing(shown, of)


@named([Secret, *key_holders()])
def test_a_key_is_not_pickled_copied_or_serialised(kind: type) -> None:
    holder = Secret(CANARY) if kind is Secret else instance(kind)
    attempts: list[Callable[[Any], object]] = [
        pickle.dumps,
        lambda one: pickle.dumps(one, protocol=0),
        copy.deepcopy,
        json.dumps,
        msgspec.json.encode,
        msgspec.msgpack.encode,
        lambda one: msgspec.to_builtins(one, enc_hook=None),
    ]
    if dataclasses.is_dataclass(kind):
        attempts.append(dataclasses.asdict)
    for attempt in attempts:
        with pytest.raises((TypeError, pickle.PicklingError)):
            attempt(holder)


def test_the_classes_that_are_known_to_hold_keys_are_found() -> None:
    found = {kind.__qualname__ for kind in key_holders()}
    assert {
        "Kek",
        "CaseKey",
        "NewDek",
        "DropPrivate",
        "KeyPair",
        "SigningKey",
        "PasswordKeys",
        "Pepper",
        "SessionKeys",
        "SignedIn",
        "Token",
        "Act",
        "Deployment",
        "Keyring",
        "FrameReader",
        "OpenedCase",
        "Founding",
        "Founded",
        "NewAccount",
    } <= found
    assert {"Credentials", "PasswordAgain", "SessionBegun", "LoadedCase", "PseudonymParts", "Account"} <= {
        kind.__qualname__ for kind in text_holders()
    }
