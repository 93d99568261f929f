"""The store as gateway, replay and notebooks read it: ``Store``, ``AsyncStore``, ``fetch_prices``.

    with Store(load_settings().questdb) as store:
        page = store.trades(session="sim-1", limit=1_000)
        frame = store.read("trades", session="sim-1").to_pandas()

Times are nanoseconds UTC, ``[since, until)``. A session that was deleted is in no answer.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from consumers.store.reading.asynchronous import AsyncStore
    from consumers.store.reading.bulk import Bulk
    from consumers.store.reading.catalogue import SessionInfo
    from consumers.store.reading.pages import Page
    from consumers.store.reading.prices import fetch_prices
    from consumers.store.reading.statistics import InstrumentStatistics
    from consumers.store.reading.store import Store
    from consumers.store.reading.ticks import OrderBook

__all__ = [
    "AsyncStore",
    "Bulk",
    "InstrumentStatistics",
    "OrderBook",
    "Page",
    "SessionInfo",
    "Store",
    "fetch_prices",
]
_HOMES = {
    "AsyncStore": "asynchronous",
    "Bulk": "bulk",
    "InstrumentStatistics": "statistics",
    "OrderBook": "ticks",
    "Page": "pages",
    "SessionInfo": "catalogue",
    "Store": "store",
    "fetch_prices": "prices",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: half a second of Arrow and pandas is for those who use them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
