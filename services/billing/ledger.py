"""
The price of a job, and the credits of customers: reserve, then settle or release, each at most once per reservation.

Locks are taken in the order account → reservation when reserving, and reservation → account when closing one: a
reservation is closed only after it was committed, so the two never wait for each other.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from onevoice_kit.db import transaction
from onevoice_kit.errors import Conflict, Internal, InvalidInput, NotFound, QuotaExceeded
from services.billing import repository
from services.billing.models import Account, Entry, EntryKind, Reservation, ReservationState

DEFAULT_PAGE = 50
MAX_PAGE = 200
MAX_ID_LENGTH = 100
MAX_CREDITS = 10**12
MAX_AGE_S = 10**9
MAX_DURATION_MS = 7 * 24 * 3_600_000
MAX_LANGUAGES = 200


@dataclass(frozen=True, slots=True)
class Price:
    """Credits for a job: 1 credit is 1 second of dubbed output in one language."""

    credits: int
    credits_per_language: int


def quote(duration_ms: int, languages: int) -> Price:
    """
    The price of dubbing `duration_ms` into `languages` languages; started seconds count whole.

    Raises `InvalidInput` (reasons `invalid_duration`, `invalid_languages`) for what is not positive or beyond reason.
    """
    if not 0 < duration_ms <= MAX_DURATION_MS:
        raise InvalidInput("The duration is not valid.", reason="invalid_duration")
    if not 0 < languages <= MAX_LANGUAGES:
        raise InvalidInput("The number of languages is not valid.", reason="invalid_languages")
    per_language = -(-duration_ms // 1000)
    return Price(per_language * languages, per_language)


@dataclass(frozen=True, slots=True)
class Settlement:
    """Credits of a reservation, after it was settled or released."""

    spent: int
    released: int


@dataclass(frozen=True, slots=True)
class EntryPage:
    """A part of an account's entries, newest first."""

    entries: tuple[Entry, ...]
    next_page_token: str
    """Empty at the end."""


@dataclass(frozen=True, slots=True)
class OpenPage:
    """A part of the open reservations, by their ids."""

    reservation_ids: tuple[str, ...]
    next_page_token: str
    """Empty at the end."""


class Ledger:
    """
    Every method is one transaction. Beside its own errors each raises `InvalidInput` (reasons `invalid_user_id`,
    `invalid_reservation_id`, `invalid_job_id`, `invalid_credits`) for values that make no sense.
    """

    def __init__(self, engine: AsyncEngine, free_credits: int) -> None:
        """`free_credits` are granted to every account when it is opened."""
        self._engine = engine
        self._free_credits = free_credits

    async def account(self, user_id: str) -> Account:
        """The account, opened at first sight."""
        _check_id(user_id, "user")
        async with transaction(self._engine) as connection:
            found = await repository.find_account(connection, user_id)
            return found or await self._open(connection, user_id)

    async def reserve(self, user_id: str, reservation_id: str, credits_: int, *, job_id: str = "") -> Account:
        """
        Sets credits aside; returns the account afterwards. Repeating it changes nothing. `job_id` labels the
        reservation and its entries with the job they are for; several reservations may name the same one.

        Raises `QuotaExceeded` (reason `insufficient_credits`, details `needed`, `available`), `Conflict`
        (reason `reservation_mismatch`) where the reservation holds another amount or belongs to another user, and
        (reason `reservation_closed`) where it has been settled or released.
        """
        _check_id(user_id, "user")
        _check_id(reservation_id, "reservation")
        if job_id:
            _check_id(job_id, "job")
        _check_credits(credits_, least=1)
        async with transaction(self._engine) as connection:
            account = await self._locked(connection, user_id)
            if existing := await repository.find_reservation(connection, reservation_id):
                return _same(existing, account, credits_)
            if account.available < credits_:
                raise _insufficient(credits_, account.available)
            if not await repository.insert_reservation(connection, reservation_id, user_id, credits_, job_id):
                # Its release, or a reservation for another user, has come in between.
                return _same(await _existing(connection, reservation_id), account, credits_)
            return await repository.record(connection, user_id, EntryKind.RESERVE, credits_, reservation_id, job_id)

    async def settle(self, reservation_id: str, credits_: int) -> Settlement:
        """
        Charges what was used, at most what was reserved, and gives the rest back. Repeating it changes nothing and
        returns the first result.

        Raises `NotFound` (reason `reservation_not_found`), `Conflict` (reason `reservation_closed`) after a release.
        """
        _check_id(reservation_id, "reservation")
        _check_credits(credits_, least=0)
        async with transaction(self._engine) as connection:
            reservation = await repository.find_reservation(connection, reservation_id, lock=True)
            if reservation is None:
                raise NotFound("There is no such reservation.", reason="reservation_not_found")
            if reservation.state is ReservationState.RELEASED:
                raise _closed(reservation)
            if reservation.state is ReservationState.OPEN:
                return await self._close(connection, reservation, ReservationState.SETTLED, credits_)
            return Settlement(reservation.spent, reservation.credits - reservation.spent)

    async def release(self, reservation_id: str) -> int:
        """
        Gives a reservation back whole; returns the credits. 0 where it is not open: repeating it, or after a
        settlement, changes nothing. A release that overtakes its reservation prevents it.
        """
        _check_id(reservation_id, "reservation")
        async with transaction(self._engine) as connection:
            if await repository.insert_void(connection, reservation_id):
                return 0
            reservation = await repository.find_reservation(connection, reservation_id, lock=True)
            if reservation is None or reservation.state is not ReservationState.OPEN:
                return 0
            return (await self._close(connection, reservation, ReservationState.RELEASED, 0)).released

    async def entries(self, user_id: str, page_size: int = 0, page_token: str = "") -> EntryPage:
        """
        Entries of an account, newest first; none where there is no account. `page_size` 0 means 50, at most 200.

        Raises `InvalidInput` (reasons `invalid_page_size`, `invalid_page_token`).
        """
        _check_id(user_id, "user")
        if page_size < 0:
            raise InvalidInput("The page size is not valid.", reason="invalid_page_size")
        limit = min(page_size or DEFAULT_PAGE, MAX_PAGE)
        before = _decode_token(page_token) if page_token else None
        async with transaction(self._engine) as connection:
            found = await repository.list_entries(connection, user_id, before, limit + 1)
        page = found[:limit]
        return EntryPage(tuple(page), _encode_token(page[-1].number) if len(found) > limit else "")

    async def open_reservations(self, min_age_s: int, page_token: str = "") -> OpenPage:
        """
        Reservations that have been open for at least `min_age_s`. Raises `InvalidInput` (reasons `invalid_age`,
        `invalid_page_token`).
        """
        if not 0 <= min_age_s <= MAX_AGE_S:
            raise InvalidInput("The age is not valid.", reason="invalid_age")
        if len(page_token) > MAX_ID_LENGTH or not page_token.isprintable():
            raise InvalidInput("The page token is not valid.", reason="invalid_page_token")
        async with transaction(self._engine) as connection:
            found = await repository.list_open(connection, min_age_s, page_token, MAX_PAGE + 1)
        page = found[:MAX_PAGE]
        return OpenPage(tuple(page), page[-1] if len(found) > MAX_PAGE else "")

    async def _open(self, connection: AsyncConnection, user_id: str) -> Account:
        if await repository.insert_account(connection, user_id) and self._free_credits:
            return await repository.record(connection, user_id, EntryKind.GRANT, self._free_credits)
        account = await repository.find_account(connection, user_id, lock=True)
        if account is None:
            raise Internal(reason="account_missing")
        return account

    async def _locked(self, connection: AsyncConnection, user_id: str) -> Account:
        account = await repository.find_account(connection, user_id, lock=True)
        return account or await self._open(connection, user_id)

    async def _close(
        self, connection: AsyncConnection, reservation: Reservation, state: ReservationState, used: int
    ) -> Settlement:
        if reservation.user_id is None:
            raise Internal(reason="reservation_without_user")
        spent = min(used, reservation.credits)
        settlement = Settlement(spent, reservation.credits - spent)
        for kind, amount in ((EntryKind.SETTLE, settlement.spent), (EntryKind.RELEASE, settlement.released)):
            if amount:
                await repository.record(
                    connection, reservation.user_id, kind, amount, reservation.id, reservation.job_id
                )
        await repository.close_reservation(connection, reservation.id, state, spent)
        return settlement


async def _existing(connection: AsyncConnection, reservation_id: str) -> Reservation:
    reservation = await repository.find_reservation(connection, reservation_id)
    if reservation is None:
        raise Internal(reason="reservation_missing")
    return reservation


def _same(existing: Reservation, account: Account, credits_: int) -> Account:
    """Returns the account where the stored reservation is the requested one."""
    if existing.user_id is not None and (existing.user_id, existing.credits) != (account.user_id, credits_):
        raise Conflict(
            "This reservation exists already, with another amount or for another user.",
            reason="reservation_mismatch",
            details={"reserved": str(existing.credits), "needed": str(credits_)},
        )
    if existing.state is not ReservationState.OPEN:
        raise _closed(existing)
    return account


def _closed(reservation: Reservation) -> Conflict:
    return Conflict(f"The credits of this reservation have been {reservation.state}.", reason="reservation_closed")


def _insufficient(needed: int, available: int) -> QuotaExceeded:
    return QuotaExceeded(
        f"This takes {needed} credits, and {available} are available.",
        reason="insufficient_credits",
        details={"needed": str(needed), "available": str(available)},
    )


def _check_id(value: str, what: str) -> None:
    if not 0 < len(value) <= MAX_ID_LENGTH or not value.isprintable():
        raise InvalidInput(f"The id of the {what} is not valid.", reason=f"invalid_{what}_id")


def _check_credits(credits_: int, *, least: int) -> None:
    if not least <= credits_ <= MAX_CREDITS:
        raise InvalidInput("The number of credits is not valid.", reason="invalid_credits")


def _encode_token(number: int) -> str:
    return base64.urlsafe_b64encode(str(number).encode()).decode().rstrip("=")


def _decode_token(token: str) -> int:
    try:
        number = int(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("The page token is not valid.", reason="invalid_page_token") from error
    if not 0 <= number < 2**63:
        raise InvalidInput("The page token is not valid.", reason="invalid_page_token")
    return number
