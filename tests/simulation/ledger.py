"""The credits of the simulated customers, with the rules of billing: reserve, then settle or release, once each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onevoice_kit.errors import Conflict, NotFound

PRICE_PER_SECOND = 1


@dataclass
class Reservation:
    """Credits set aside for a job."""

    credits: int
    state: str = "open"
    spent: int = 0


class Ledger:
    """Billing without accounts: what is reserved was there."""

    def __init__(self, settled: Callable[[str], None] = lambda _: None) -> None:
        """`settled` is called with every reservation that is settled."""
        self._settled = settled
        self.reservations: dict[str, Reservation] = {}
        self.reserved = 0
        self.spent = 0
        self.released = 0
        self.open = 0

    def reserve(self, reservation_id: str, credits_: int) -> None:
        """Sets credits aside."""
        self.reservations[reservation_id] = Reservation(credits_)
        self.reserved += credits_
        self.open += credits_

    def settle(self, reservation_id: str, credits_: int) -> int:
        """Spends at most what was reserved; the first answer again when asked again."""
        reservation = self.reservations.get(reservation_id)
        if reservation is None:
            raise NotFound("Nothing is reserved for this job.", reason="reservation_not_found")
        if reservation.state == "released":
            raise Conflict("The credits of this job have been released.", reason="reservation_closed")
        if reservation.state == "open":
            self._close(reservation, "settled", min(credits_, reservation.credits))
            self._settled(reservation_id)
        return reservation.spent

    def release(self, reservation_id: str) -> int:
        """Gives an open reservation back whole; 0 where none is open."""
        reservation = self.reservations.get(reservation_id)
        if reservation is None or reservation.state != "open":
            return 0
        self._close(reservation, "released", 0)
        return reservation.credits

    def _close(self, reservation: Reservation, state: str, spent: int) -> None:
        reservation.state, reservation.spent = state, spent
        self.open -= reservation.credits
        self.spent += spent
        self.released += reservation.credits - spent

    def balanced(self) -> bool:
        """Returns True where every credit is in exactly one place."""
        return self.reserved == self.open + self.spent + self.released and min(self.open, self.spent) >= 0
