"""Servicers whose work is done, and whose answers are lost or late."""

from __future__ import annotations

import asyncio
import inspect
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

from onevoice_kit.errors import Unavailable


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
        """Raises `Unavailable` where the answer is lost."""
        if self._loses(method) and self.lost[method] < self._times:
            self.lost[method] += 1
            raise Unavailable("The answer was lost.", reason="answer_lost")


class LateAnswer(Answers):
    """Keeps the first answer of `method` until `send` is set; later ones are not kept."""

    def __init__(self, method: str) -> None:
        self.kept = asyncio.Event()
        self.send = asyncio.Event()
        self._method = method

    async def answered(self, method: str) -> None:
        """Waits where the answer is the one."""
        if method == self._method and not self.kept.is_set():
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
