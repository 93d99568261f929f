"""What the reader of a partition remembers of its sessions, as a note beside the offset."""

from __future__ import annotations

import msgspec

from schemas.order import Order

NOTE_BYTES_MAX = 4_000
"""Kafka refuses metadata of a commit beyond 4,096 bytes."""


class _Place(msgspec.Struct, array_like=True):
    session: str
    epoch: int
    seq: int
    ended: bool


_decoder = msgspec.json.Decoder(list[_Place])


class Places:
    """The order of truth of every session in one partition, the longest known first.

    What does not fit the note is forgotten, ended sessions first: a session that is not known is
    one that begins.
    """

    def __init__(self, note: str = "") -> None:
        self._orders: dict[str, Order] = {}
        try:
            places = _decoder.decode(note or "[]")
        except msgspec.DecodeError:
            places = []  # somebody reset the offsets with a tool that has notes of its own
        for place in places:
            self._orders[place.session] = Order(place.epoch, place.seq, ended=place.ended)

    def order(self, session: str) -> Order:
        """Return the place of a session, a new one if it is not known."""
        order = self._orders.get(session)
        if order is None:
            order = self._orders[session] = Order()
        return order

    def sessions(self) -> tuple[str, ...]:
        """Return the sessions that are known."""
        return tuple(self._orders)

    def note(self) -> str:
        """Return all of it as a text of bounded size, forgetting what does not fit."""
        places = [
            _Place(session, order.epoch, order.seq, order.ended)
            for session, order in self._orders.items()
        ]
        sizes = [len(msgspec.json.encode(place)) + 1 for place in places]
        excess = sum(sizes) + 1 - NOTE_BYTES_MAX
        if excess > 0:
            by_worth = sorted(zip(places, sizes, strict=True), key=lambda pair: not pair[0].ended)
            for place, size in by_worth:
                if excess <= 0:
                    break
                del self._orders[place.session]
                excess -= size
            places = [place for place in places if place.session in self._orders]
        return msgspec.json.encode(places).decode()
