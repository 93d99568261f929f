"""The links of one recording: as many as wanted, of which one leads.

A planned reconnect and a second connection are the same thing: one more link for a while, or for
good. Trades are taken from whichever tells them first, everything else from the one that leads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Final

from producers.live.frame_queue import Frame
from producers.live.link import Link
from schemas.sections import Capture

log = logging.getLogger(__name__)
HEALTHY_S: Final = 30.0
"""A connection that lasted so long has earned a short delay again."""


class Links:
    """Dials, hands over and drops links; whoever reads them says what they are worth."""

    def __init__(
        self,
        new_link: Callable[[int], Link],
        delays: Callable[[], Iterator[float]],
        settings: Capture,
    ) -> None:
        self.all: list[Link] = []
        self.lead: Link | None = None
        self._new_link = new_link
        self._new_delays = delays
        self._delays = delays()
        self._settings = settings
        self._dialed = 0
        self._dial_at = 0.0
        self._successor: Link | None = None
        self._joined_at = 0.0
        self._told_by: dict[tuple[str, str | None], int] = {}
        """Trades while a link hands over to another; both have told one when they have met."""
        self._met = False

    @property
    def handing_over(self) -> bool:
        return self._successor is not None

    def tend(self, now: float) -> None:
        """Dial what is missing; let the oldest go when its successor tells the same."""
        wanted = self._settings.connections
        planned_s = self._settings.planned_reconnect_s
        if planned_s and not self._successor and len(self.all) == wanted:
            oldest = self.all[0]
            if oldest.joined and now - oldest.began > planned_s:
                self._successor = self._dial(now)
                return
        if len(self.all) < wanted + self.handing_over and now >= self._dial_at:
            self._dial(now)
        if self._successor is not None:
            self._hand_over(self._successor, now)

    def idle_s(self, now: float, longest: float) -> float:
        """Return how long nothing is to be done unless something comes."""
        dialing = len(self.all) < self._settings.connections + self.handing_over
        return max(0.0, min(longest, self._dial_at - now)) if dialing else longest

    def take(self, count_max: int) -> Iterator[tuple[Link, list[Frame]]]:
        """Yield frames in the order in which they were received, over all links."""
        waiting = [link for link in self.all if link.queue]
        if len(waiting) == 1:
            yield waiting[0], waiting[0].take(count_max)
            return
        for _ in range(count_max):
            heads = [(link.queue.head or 0, link.number, link) for link in waiting if link.queue]
            if not heads:
                return
            _, _, first = min(heads)
            yield first, first.take(1)

    def told(self, link: Link, instrument: str, trade_id: str | None) -> None:
        """Note who told a trade while a link hands over to another."""
        if not self.handing_over or trade_id is None:
            return
        if self._told_by.setdefault((instrument, trade_id), link.number) != link.number:
            self._met = True

    def joined(self, link: Link, now: float) -> None:
        """Take a link in that tells everything from now on."""
        link.joined = True
        self.lead = self.lead or link
        if link is self._successor:
            self._joined_at = now

    def drop(self, link: Link, now: float) -> None:
        """Forget a link that is over; another one that is whole leads in its place."""
        self.all.remove(link)
        link.queue.close()
        if link is self._successor or not link.retired:
            self._successor = None
        if now - link.began > HEALTHY_S:
            self._delays = self._new_delays()
        self._dial_at = now + next(self._delays)
        if link is self.lead:
            # One that joined later than this one was lost has missed what was between.
            others = [o for o in self.all if o.confirmed_at and o.confirmed_at <= link.lost_at]
            self.lead = next((o for o in others if o.whole), next(iter(others), None))

    def pass_lead(self) -> bool:
        """Let another link lead that is whole; tell whether there is one."""
        other = next((link for link in self.all if link.whole and link is not self.lead), None)
        self.lead = other or self.lead
        return other is not None

    async def close(self) -> None:
        for link in self.all:
            await link.close()

    def _dial(self, now: float) -> Link:
        self._dialed += 1
        self._dial_at = now + self._settings.reconnect_ms_min / 1000
        link = self._new_link(self._dialed)
        self.all.append(link)
        return link

    def _hand_over(self, successor: Link, now: float) -> None:
        overlap_s = self._settings.overlap_s_max
        if not successor.whole or not (self._met or now - self._joined_at > overlap_s):
            return
        oldest = self.all[0]
        log.info("planned reconnect old=%d new=%d", oldest.number, successor.number)
        if self.lead is oldest:
            self.lead = successor
        self._successor = None
        self._met = False
        self._told_by.clear()
        oldest.retire()
