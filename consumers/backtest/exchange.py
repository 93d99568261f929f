"""Where orders wait and are filled. Pure: it is told each event, and looks at no other.

An order is asked by events that came after it was placed and that happened no earlier than its
latency allows. The event that made a strategy order can never fill the order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import floor, inf, isfinite
from typing import Final, Literal

from consumers.backtest.market import Market, Offer
from consumers.backtest.matching import Part, met, passed, triggers
from consumers.backtest.orders import SIDES, TIMES_IN_FORCE, Fill, Order
from consumers.backtest.portfolio import Portfolio
from consumers.backtest.terms import Terms
from consumers.backtest.trips import Trips
from schemas.calendars import UTC_DAYS, Calendar
from schemas.errors import DataError, UnknownNameError
from schemas.events import Bar, Candle, Trade
from schemas.scaled import DECIMALS_MAX

REJECTIONS_KEPT: Final = 10
_GRAIN: Final = 10**DECIMALS_MAX


class Exchange:
    """The markets of a run, the orders in them, and the portfolio that they make."""

    def __init__(self, terms: Terms, calendar: Calendar = UTC_DAYS) -> None:
        self.terms = terms
        self.time = 0
        self.event_ts = 0
        """Time of the event that is handled: later than now if nobody believes it yet."""
        self.markets: dict[str, Market] = {}
        self.orders: dict[int, Order] = {}
        """Open, by number."""
        self.portfolio = Portfolio(terms.cash, terms.leverage_max, self.markets)
        self.trips = Trips()
        self.placed = 0
        self.fills = 0
        self.rejected = 0
        self.rejections: list[str] = []
        """Why, of the first ones."""
        self.tell: Callable[[Fill], None] = lambda _: None
        self._calendar = calendar

    def place(self, order: Order) -> Order:
        """Take an order, or reject it for want of equity; raise for one that makes no sense."""
        self._check(order)
        order.number, order.placed = self.placed, self.time
        order.active_from = max(self.time, self.event_ts) + self.terms.latency_ns
        # Before the first event there is no day that could end.
        order.expires = self._day_end() if order.time_in_force == "DAY" and self.time else None
        self.placed += 1
        if why := self._unaffordable(order):
            order.status, order.reason = "rejected", why
            self.rejected += 1
            if len(self.rejections) < REJECTIONS_KEPT:
                self.rejections.append(why)
        else:
            self.orders[order.number] = order
            self.markets[order.instrument].orders.append(order)
        return order

    def close(
        self, order: Order, status: Literal["cancelled", "expired"], why: str | None = None
    ) -> None:
        """Take an order out of the market; nothing if it is not there any more."""
        if self.orders.pop(order.number, None):
            order.status, order.reason = status, why or order.reason
            self._sweep(self.markets[order.instrument])

    def meet_book(self, market: Market, ts: int) -> None:
        """Let the orders take what bids and asks offer."""
        for order in self._asked(market, ts):
            offers = market.offers(order.side)
            if order.stop is not None and not order.triggered:
                best = next(offers, None)
                if best and not market.traded and triggers(order, best.price):
                    order.triggered = True
                continue
            parts = self._meet(order, offers)
            for part, filled in self._fill_all(order, parts, ts):
                market.take(order.side, part.level, filled)
            self._has_met(order)
        self._sweep(market)

    def meet_trade(self, market: Market, trade: Trade) -> None:
        """Let a trade set off stops, fill limits it went through, and more if it is all we see."""
        ts, left = trade.ts_event, trade.size * self.terms.participation_max
        for order in self._asked(market, ts):
            if order.stop is not None and not order.triggered:
                order.triggered = triggers(order, trade.price)
                continue
            if market.deep or (order.met and order.limit is not None):
                parts: Iterable[Part] = passed(order, trade.price, left)
            else:
                parts = self._meet(order, [Offer(trade.price, left)])
            left -= sum(filled for _, filled in self._fill_all(order, parts, ts))
            if not market.deep:
                self._has_met(order)
        self._sweep(market)

    def meet_candle(self, market: Market, candle: Candle | Bar) -> None:
        """Fill orders at the open of a candle that began after them, or within its range.

        Of a candle that had begun only the close is known to be later than the order.
        """
        left = (float(candle.volume or 0) or inf) * self.terms.participation_max
        for order in self._asked(market, candle.ts_close - 1):
            for part, ts in self._within(order, candle, left):
                left -= sum(filled for _, filled in self._fill_all(order, [part], ts))
        self._sweep(market)

    def _within(
        self, order: Order, candle: Candle | Bar, left: float
    ) -> Iterator[tuple[Part, int]]:
        whole = order.active_from <= candle.ts_open
        price, ts = (candle.open, candle.ts_open) if whole else (candle.close, candle.ts_close)
        buys = order.side == "buy"
        if order.stop is not None:
            worst = candle.high if buys else candle.low
            if order.triggered or triggers(order, price):
                order.triggered = True
                yield from ((part, ts) for part in met(order, [Offer(price, left)]))
            elif whole and triggers(order, worst):
                order.triggered = True
                level = [Offer(order.stop, left)]
                yield from ((part, candle.ts_close) for part in met(order, level))
            return
        if not (order.met and order.limit is not None):
            for part in self._meet(order, [Offer(price, left)]):
                yield part, ts
                left -= part.quantity
            self._has_met(order)
        if whole and order.status == "open" and left > 0:
            best = candle.low if buys else candle.high
            yield from ((part, candle.ts_close) for part in passed(order, best, left))

    def _asked(self, market: Market, ts: int) -> Iterator[Order]:
        """Yield the open orders that an event of this time may fill."""
        for order in tuple(market.orders):
            if order.status != "open" or order.active_from > ts:
                continue
            if order.expires is not None and ts >= order.expires:
                self.close(order, "expired", "its day is over")
            else:
                yield order

    def _meet(self, order: Order, offers: Iterable[Offer]) -> list[Part]:
        parts = list(met(order, offers))
        if parts and order.time_in_force == "FOK":
            worst = self.terms.slipped(parts[-1].price, order.direction)
            if self._affordable(order, worst, maker=False) < order.left:
                return []
        return parts

    def _has_met(self, order: Order) -> None:
        order.met = True
        if order.time_in_force in {"IOC", "FOK"}:
            self.close(order, "cancelled", "not filled at once")

    def _fill_all(
        self, order: Order, parts: Iterable[Part], ts: int
    ) -> Iterator[tuple[Part, float]]:
        """Fill parts as far as there is equity; yield each with the quantity that was filled."""
        for part in parts:
            if order.status != "open":
                return
            price = part.price
            if not part.maker:
                price = self.terms.slipped(price, order.direction)
                if order.limit is not None:
                    price = (
                        min(price, order.limit) if order.side == "buy" else max(price, order.limit)
                    )
            room = self._affordable(order, price, maker=part.maker)
            quantity = min(part.quantity, room)
            if quantity > 0:
                self._fill(order, quantity, price, ts, maker=part.maker)
                yield part, quantity
            if quantity < part.quantity:
                self.close(order, "cancelled", f"no equity for more than {order.filled:g}")

    def _fill(self, order: Order, quantity: float, price: float, ts: int, *, maker: bool) -> None:
        order.filled = round(order.filled + quantity, DECIMALS_MAX)
        fee = quantity * price * self.terms.fee_rate(maker=maker)
        fill = Fill(order=order, quantity=quantity, price=price, fee=fee, ts=ts, maker=maker)
        self.portfolio.apply(fill)
        self.trips.apply(fill)
        self.fills += 1
        if order.left <= 0:
            order.status = "filled"
            del self.orders[order.number]
        self.tell(fill)

    def _sweep(self, market: Market) -> None:
        market.orders = [order for order in market.orders if order.status == "open"]

    def _affordable(self, order: Order, price: float, *, maker: bool) -> float:
        rate = self.terms.fee_rate(maker=maker)
        room = self.portfolio.affordable(order.instrument, order.direction, price, rate)
        return room if room == inf else floor(round(room * _GRAIN, 3)) / _GRAIN

    def _unaffordable(self, order: Order) -> str | None:
        """Say why an order is rejected; one without any price is judged when it is filled."""
        price = order.limit or order.stop or self.markets[order.instrument].mark
        if price is None:
            return None
        room = self._affordable(order, price, maker=order.limit is not None)
        if order.quantity <= room:
            return None
        return (
            f"{order.side} {order.quantity:g} {order.instrument} at {price:g}: equity "
            f"{self.portfolio.equity:,.2f} with leverage {self.terms.leverage_max:g} is enough "
            f"for {room:g}"
        )

    def _check(self, order: Order) -> None:
        what = "order is refused"
        if order.instrument not in self.markets:
            raise UnknownNameError.of("instrument", order.instrument, self.markets)
        if order.side not in SIDES or order.time_in_force not in TIMES_IN_FORCE:
            raise DataError(what, f"{order.side} {order.time_in_force}", " ".join(TIMES_IN_FORCE))
        if order.limit is not None and order.stop is not None:
            raise DataError(what, "a limit and a stop", "place the limit when the stop is filled")
        for name in ("quantity", "limit", "stop"):
            value = getattr(order, name)
            if value is not None and not (isfinite(value) and value > 0):
                hint = "numbers above zero; a sale is an order to sell"
                raise DataError(what, f"{name} is {value} of {order.instrument}", hint)
        order.quantity = round(order.quantity, DECIMALS_MAX)
        if not order.quantity:
            raise DataError(what, f"quantity is below 1e-9 of {order.instrument}")
        if len(self.orders) >= self.terms.orders_max:
            raise DataError(what, f"{self.terms.orders_max} are open", "cancel some: orders_max")

    def _day_end(self) -> int | None:
        within = self._calendar.next_open(self.time)
        return None if within is None else self._calendar.bounds("1d", within)[1]
