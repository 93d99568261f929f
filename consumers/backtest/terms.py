"""The terms on which a strategy trades; recorded with each run."""

from __future__ import annotations

from math import isfinite
from typing import Final, Literal, get_args

from msgspec import Struct

from schemas.errors import SettingsError, UnknownNameError
from schemas.events import NS_PER_MS

GapPolicy = Literal["skip", "stop", "continue"]
"""What to do where ticks may be missing: cancel the orders that wait and show no candle of it, end
the run there, or take what is there as if it were all."""
BPS: Final = 1e-4
LATENCY_MS_MAX: Final = 86_400_000


class Terms(Struct, kw_only=True, frozen=True):
    """What there is to trade with, and what trading costs."""

    cash: float = 100_000.0
    leverage_max: float = 1.0
    """All positions together, owed or owned, to the equity."""
    fee_bps: float = 0.0
    maker_fee_bps: float | None = None
    """None: as ``fee_bps``."""
    slippage_bps: float = 0.0
    """By which orders that do not rest are filled worse than what they met."""
    latency_ms: float = 0.0
    """From an event until an order that answers it is in the market."""
    participation_max: float = 1.0
    """Share of a trade's size or a candle's volume that may be ours."""
    gaps: GapPolicy = "continue"
    orders_max: int = 10_000
    """Open at a time."""
    seed: int = 0

    def check(self) -> Terms:
        """Return the terms, or raise ``SettingsError`` for a number that makes no sense."""
        for name, least in (
            *(("cash", 0), ("leverage_max", 0), ("participation_max", 0)),
            *(("slippage_bps", 0), ("latency_ms", 0)),
        ):
            value = getattr(self, name)
            positive = name in {"cash", "leverage_max", "participation_max"}
            if not isfinite(value) or value < least or (positive and value == 0):
                raise SettingsError("backtest cannot be run so", f"{name} is {value}")
        if self.latency_ms > LATENCY_MS_MAX or self.participation_max > 1:
            raise SettingsError(
                "backtest cannot be run so",
                f"latency_ms {self.latency_ms}, participation_max {self.participation_max}",
                "a latency of at most a day, a participation of at most 1",
            )
        if not all(isfinite(fee) for fee in (self.fee_bps, self.maker_fee_bps or 0.0)):
            raise SettingsError("backtest cannot be run so", "a fee that is no number")
        if self.gaps not in get_args(GapPolicy):
            raise UnknownNameError.of("policy for gaps", self.gaps, get_args(GapPolicy))
        return self

    @property
    def latency_ns(self) -> int:
        return round(self.latency_ms * NS_PER_MS)

    def fee_rate(self, *, maker: bool) -> float:
        """Return the fee as a share of the money that changes hands."""
        rested = maker and self.maker_fee_bps is not None
        return (self.maker_fee_bps if rested else self.fee_bps) * BPS  # type: ignore[operator] # not None: it rested

    def slipped(self, price: float, direction: int) -> float:
        """Return a price worse by the slippage for who buys (1) or sells (-1)."""
        return price * (1 + direction * self.slippage_bps * BPS)
