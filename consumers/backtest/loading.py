"""Strategies by name: a sample, ``path/to/file.py:Class`` or ``module:Class``; their parameters."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from hashlib import sha256
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any, Final, get_type_hints

from consumers.backtest.strategies import SAMPLES
from consumers.backtest.strategy import Strategy
from schemas.errors import SettingsError, UnknownNameError

_BOOLEANS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def load_strategy(name: str) -> type[Strategy]:
    """Return the class, or raise ``UnknownNameError`` or ``SettingsError``; its module is run."""
    place, colon, attribute = SAMPLES.get(name, name).rpartition(":")
    if not colon:
        raise UnknownNameError.of("strategy", name, [*SAMPLES, "path/to/file.py:Class"])
    module = _module(place)
    found = getattr(module, attribute, None)
    if not (inspect.isclass(found) and issubclass(found, Strategy)):
        known = [
            key
            for key, value in vars(module).items()
            if inspect.isclass(value) and issubclass(value, Strategy) and value is not Strategy
        ]
        raise UnknownNameError.of("strategy", attribute, known)
    return found


def parameters(strategy: type[Strategy]) -> dict[str, Any]:
    """Return the parameters of a strategy with their defaults."""
    return {
        name: getattr(strategy, name)
        for name in get_type_hints(strategy)
        if not name.startswith("_") and hasattr(strategy, name)
    }


def configured(strategy: type[Strategy], values: Mapping[str, Any]) -> Strategy:
    """Make a strategy with these parameters, as text or as they are.

    Raises ``UnknownNameError``, or ``SettingsError`` for a value of another type.
    """
    known, kinds = parameters(strategy), get_type_hints(strategy)
    made = strategy()
    for name, value in values.items():
        if name not in known:
            raise UnknownNameError.of("parameter", name, known)
        setattr(made, name, _read(name, value, kinds[name]) if isinstance(value, str) else value)
    return made


def source_hash(strategy: type[Strategy]) -> str:
    """Return the SHA-256 of the file that a strategy is written in."""
    return sha256(Path(inspect.getfile(strategy)).read_bytes()).hexdigest()


def _read(name: str, text: str, kind: Any) -> Any:
    try:
        if kind is bool:
            return _BOOLEANS[text.lower()]
        return text if kind is str else kind(text)
    except (KeyError, ValueError, TypeError) as error:
        called = getattr(kind, "__name__", str(kind))
        raise SettingsError("parameter cannot be read", f"{name}={text}: not {called}") from error


def _module(place: str) -> Any:
    path = Path(place)
    if path.suffix != ".py":
        return _run(place, lambda: importlib.import_module(place))
    if not path.is_file():
        raise SettingsError("strategy not found", f"no file {place}", "path/to/file.py:Class")
    # Under a name of its own, and known by it: type hints are looked up there.
    name = f"strategy_{sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    loader = SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec, "there is a loader"
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    _run(place, lambda: loader.exec_module(module))
    return module


def _run(place: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception as error:
        raise SettingsError(
            "strategy cannot be loaded", f"{place}: {type(error).__name__}: {error}"[:500]
        ) from error
