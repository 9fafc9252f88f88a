"""Definitions named on the command line: ``MODULE:SAGA``.

Rules: the module is imported, from the current folder as well; nothing of the saga is run. Whatever importing does, the
user gets one line about it.
It does not: look whether a saga keeps the rules (`lint` does).
"""

import difflib
import importlib
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any, TypeGuard, cast

from amends.definition import Saga
from amends.delivery.cli.faults import Unusable


def saga_at(target: str) -> "Saga[Any]":
    """Return the saga that `target` names.

    Raises:
        Unusable: there is none.
    """
    module_name, _, path = target.partition(":")
    if not module_name or not path:
        raise Unusable(f"{target!r} names no saga; write MODULE:SAGA, such as shop.orders:place_order")
    if "" not in sys.path:
        sys.path.insert(0, "")
    module = _import(module_name)
    found: Any = module
    for name in path.split("."):
        found = getattr(found, name, None)
    if _is_saga(found):
        return found
    what = "is not there" if found is None else f"is of type {type(found).__name__}, not a Saga"
    raise Unusable(f"{target}: {path} {what}; {_sagas_in(module, path)}")


def sagas_at(target: str) -> "tuple[Saga[Any], ...]":
    """Return the sagas that `target` names: ``MODULE:NAME`` is one or several of them, ``MODULE`` all it has.

    Raises:
        Unusable: there is none.
    """
    module_name, colon, path = target.partition(":")
    if not module_name or (colon and not path):
        raise Unusable(
            f"{target!r} names no sagas; write MODULE or MODULE:SAGAS, such as shop.orders:place_order"
        )
    if "" not in sys.path:
        sys.path.insert(0, "")
    module = _import(module_name)
    found: Any = tuple(filter(_is_saga, vars(module).values())) if not colon else module
    for name in path.split(".") if colon else ():
        found = getattr(found, name, None)
    several = cast("Iterable[Any]", found if isinstance(found, list | tuple | set | frozenset) else ())
    sagas = tuple(filter(_is_saga, several))
    if sagas and len(sagas) == len(tuple(several)):
        return sagas
    return (saga_at(target),) if colon else _none_in(module)


def _none_in(module: ModuleType) -> "tuple[Saga[Any], ...]":
    raise Unusable(f"{module.__name__} has no saga")


def _is_saga(value: object) -> "TypeGuard[Saga[Any]]":
    return isinstance(value, Saga)


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        first = (str(error).splitlines() or [""])[0]
        raise Unusable(f"{name} cannot be imported: {type(error).__name__}: {first}") from error


def _sagas_in(module: ModuleType, wanted: str) -> str:
    names = [name for name, value in vars(module).items() if _is_saga(value)]
    near = difflib.get_close_matches(wanted, names, n=1)
    if near:
        return f"did you mean {module.__name__}:{near[0]}?"
    return (
        f"the sagas of {module.__name__} are {', '.join(names)}"
        if names
        else f"{module.__name__} has no saga"
    )
