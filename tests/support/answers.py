"""Servicers that do their work, and whose replies are lost or late."""

from __future__ import annotations

import asyncio
import inspect
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar, cast

from onevoice_kit.errors import Unavailable

T = TypeVar("T")


class Answers(ABC):
    """Something between servicers and their callers."""

    def wrap(self, servicer: Any) -> Any:
        """The servicer with this between it and its callers."""
        return _Wrapped(servicer, self)

    @abstractmethod
    async def answered(self, method: str) -> None:
        """The work of a call is done and its answer on the way."""


class LostAnswers(Answers):
    """Loses the first `times` answers of each method that `loses` names."""

    def __init__(self, loses: Callable[[str], bool] = lambda _: True, times: int = 1) -> None:
        self.lost: Counter[str] = Counter()
        self._loses = loses
        self._times = times

    async def answered(self, method: str) -> None:
        """Raises `Unavailable` where the reply is lost."""
        if self._loses(method) and self.lost[method] < self._times:
            self.lost[method] += 1
            raise Unavailable("The reply was lost.", reason="answer_lost")


class LateAnswer(Answers):
    """Keeps the first `times` answers of `method` until `send` is set; later ones are not kept."""

    def __init__(self, method: str, times: int = 1) -> None:
        self.kept = asyncio.Event()
        self.send = asyncio.Event()
        self._method = method
        self._left = times

    def keep(self, times: int) -> None:
        """Keeps so many more answers."""
        self._left += times

    async def answered(self, method: str) -> None:
        """Waits where the answer is the one."""
        if method == self._method and self._left:
            self._left -= 1
            self.kept.set()
            await self.send.wait()


class _Wrapped:
    def __init__(self, servicer: Any, answers: Answers) -> None:
        self._servicer, self._answers = servicer, answers

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._servicer, method)
        if inspect.isasyncgenfunction(found):

            async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
                messages = [message async for message in found(request, context)]
                await self._answers.answered(method)
                for message in messages:
                    yield message

            return stream

        async def unary(request: Any, context: Any) -> Any:
            answer = await found(request, context)
            await self._answers.answered(method)
            return answer

        return unary


class _Forgetful:
    """Stands for jobs or the store of one."""

    def __init__(self, target: Any, method: str, lost: list[str]) -> None:
        self._target, self._method, self._lost = target, method, lost

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name == "store":
            return lambda lease: _Forgetful(found(lease), self._method, self._lost)
        if name != self._method:
            return found

        async def call(*args: Any, **named: Any) -> Any:
            answer = await found(*args, **named)
            if self._lost:
                return answer
            self._lost.append(name)
            raise Unavailable("The reply was lost.", reason="answer_lost")

        return call


def forgetful(jobs: T, method: str, lost: list[str]) -> T:
    """Jobs of which the first answer of `method`, their own or their stores', is lost, and then noted in `lost`."""
    return cast(T, _Forgetful(jobs, method, lost))
