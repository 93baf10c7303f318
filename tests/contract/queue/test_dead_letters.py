"""Operators' actions on the dead letters of every queue."""

from __future__ import annotations

from onevoice_kit.queue.base import Delivery, Message


async def _bury(with_letters, *bodies: str) -> list[Delivery]:
    buried = []
    for body in bodies:
        await with_letters.send(Message(body, {"kind": "test"}, "user-1"))
        (delivery,) = await with_letters.queue.receive(wait_s=5)
        await with_letters.queue.dead_letter(delivery, f"reason_{body}")
        buried.append(delivery)
    return buried


async def _bodies(with_letters) -> list[str]:
    return sorted(letter.body for letter in await with_letters.letters.peek())


async def test_without_dead_letters_the_list_is_empty(with_letters):
    assert await with_letters.letters.peek() == []


async def test_a_letter_is_listed_with_its_reason_and_attributes(with_letters):
    await _bury(with_letters, "a")
    (letter,) = await with_letters.letters.peek()
    assert (letter.body, letter.reason, dict(letter.attributes)) == ("a", "reason_a", {"kind": "test"})
    assert letter.dead_at is not None


async def test_listing_changes_nothing(with_letters):
    await _bury(with_letters, "a", "b")
    assert await _bodies(with_letters) == await _bodies(with_letters) == ["a", "b"]


async def test_no_more_than_the_limit_is_listed(with_letters):
    await _bury(with_letters, "a", "b", "c")
    assert len(await with_letters.letters.peek(limit=2)) == 2
    assert await _bodies(with_letters) == ["a", "b", "c"]


async def test_a_chosen_letter_goes_back_into_the_queue_as_it_was_and_the_others_stay(with_letters):
    await _bury(with_letters, "a", "b")
    chosen = next(letter for letter in await with_letters.letters.peek() if letter.body == "a")
    assert await with_letters.letters.redrive([chosen.id]) == 1
    (delivery,) = await with_letters.queue.receive(wait_s=5)
    assert (delivery.body, dict(delivery.attributes), delivery.group_id) == ("a", {"kind": "test"}, "user-1")
    assert delivery.receive_count == 1
    assert await _bodies(with_letters) == ["b"]


async def test_all_letters_go_back_at_once(with_letters):
    await _bury(with_letters, *"abcdefghijkl")
    assert await with_letters.letters.redrive() == 12
    assert (await with_letters.queue.depth()).visible == 12
    assert await with_letters.letters.peek() == []


async def test_a_letter_received_too_often_can_be_redriven_and_received_again(with_letters):
    await with_letters.send(Message("often", {"kind": "test"}, "user-1"))
    for _ in range(5):
        (delivery,) = await with_letters.queue.receive(wait_s=5)
        await with_letters.queue.release(delivery)
    assert await with_letters.queue.receive(wait_s=0) == []
    (letter,) = await with_letters.letters.peek()
    assert letter.reason == "received_too_often"
    assert await with_letters.letters.redrive() == 1
    (again,) = await with_letters.queue.receive(wait_s=5)
    assert (again.body, again.receive_count) == ("often", 1)


async def test_a_dropped_letter_is_gone_and_the_others_stay(with_letters):
    await _bury(with_letters, "a", "b")
    chosen = next(letter for letter in await with_letters.letters.peek() if letter.body == "a")
    assert await with_letters.letters.drop([chosen.id]) == 1
    assert await _bodies(with_letters) == ["b"]
    assert await with_letters.letters.drop() == 1
    assert await with_letters.letters.peek() == []
    assert (await with_letters.queue.depth()).visible == 0


async def test_a_letter_that_is_not_there_is_neither_redriven_nor_dropped(with_letters):
    await _bury(with_letters, "a")
    for unknown in ("0", "no-such-letter"):
        assert await with_letters.letters.redrive([unknown]) == 0
        assert await with_letters.letters.drop([unknown]) == 0
    assert await _bodies(with_letters) == ["a"]
