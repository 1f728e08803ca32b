"""Requests and their answers: each to whom it belongs, once, or a reason why there is none."""

import asyncio

import pytest

from testbed.bus.order_messages import Done
from testbed.bus.parts import Refused
from testbed.services.pending import LostError, Pending
from tests.unit.testbed.bus.loops import in_loop

LONG_S = 10.0


def asking(pending: Pending, numbers: list[int], timeout_s: float = LONG_S) -> asyncio.Task:
    """A request that waits for its answer; its number is added to the list."""
    return asyncio.create_task(
        pending.answer(lambda n: numbers.append(n) is None, "agent one", timeout_s)
    )


def done(number: int, fault: str | None = None) -> Done:
    return Done(request_id=number, fault=fault)


async def begun(numbers: list[int], how_many: int) -> None:
    while len(numbers) < how_many:
        await asyncio.sleep(0)


@in_loop
async def test_answers_go_to_whom_asked_in_whatever_order_they_come():
    pending, numbers = Pending(), []
    tasks = [asking(pending, numbers) for _ in range(5)]
    await begun(numbers, 5)
    assert len(set(numbers)) == 5
    for number in reversed(numbers):
        pending.bring(number, done(number, f"to {number}"), ("buffers",))
    answers = await asyncio.gather(*tasks)
    assert [answer.message.fault for answer in answers] == [f"to {n}" for n in numbers]
    assert answers[0].arrays == ("buffers",)
    assert pending.num_late == 0


@in_loop
async def test_a_second_answer_is_dropped_and_counted():
    pending, numbers = Pending(), []
    task = asking(pending, numbers)
    await begun(numbers, 1)
    pending.bring(numbers[0], done(numbers[0], "first"))
    pending.bring(numbers[0], done(numbers[0], "second"))
    assert (await task).message.fault == "first"
    pending.bring(numbers[0], done(numbers[0], "third"))
    assert pending.num_late == 2


@in_loop
async def test_an_answer_after_the_deadline_is_dropped_and_counted():
    pending, numbers = Pending(), []
    with pytest.raises(LostError, match=r"agent one did not answer within 0\.01 s"):
        await asking(pending, numbers, 0.01)
    pending.bring(numbers[0], done(numbers[0]))
    assert pending.num_late == 1


@in_loop
async def test_an_answer_to_nobody_is_counted():
    pending = Pending()
    pending.bring(-1, done(-1))
    assert pending.num_late == 1


@in_loop
async def test_a_refusal_is_a_loss_with_its_reason():
    pending, numbers = Pending(), []
    task = asking(pending, numbers)
    await begun(numbers, 1)
    pending.bring(numbers[0], Refused(request_id=numbers[0], reason="busy with others"))
    with pytest.raises(LostError, match=r"^busy with others$"):
        await task


@in_loop
async def test_what_cannot_be_sent_is_lost_at_once():
    pending = Pending()
    with pytest.raises(LostError, match="agent one is not connected"):
        await pending.answer(lambda _: False, "agent one", LONG_S)


@in_loop
async def test_a_request_that_is_given_up_leaves_nothing_behind():
    pending, numbers = Pending(), []
    task = asking(pending, numbers)
    await begun(numbers, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    pending.bring(numbers[0], done(numbers[0]))
    assert pending.num_late == 1


@in_loop
async def test_numbers_of_one_coordinator_are_not_those_of_the_next():
    numbers: list[int] = []
    for _ in range(2):
        with pytest.raises(LostError):
            await asking(Pending(), numbers, 0.001)
    assert abs(numbers[0] - numbers[1]) > 1000
