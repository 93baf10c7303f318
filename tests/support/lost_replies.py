"""Servicers whose work is done, and whose answers are lost."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

from onevoice_kit.errors import Unavailable


class LostReplies:
    """Loses the first `times` answers of each method that `loses` names, after the work was done."""

    def __init__(self, loses: Callable[[str], bool] = lambda _: True, times: int = 1) -> None:
        self.lost: Counter[str] = Counter()
        self._loses = loses
        self._times = times

    def wrap(self, servicer: Any) -> Any:
        """The servicer with this between it and its callers."""
        return _Wrapped(servicer, self)

    def answered(self, method: str) -> None:
        """The method has its answer: raises `Unavailable` where it is lost."""
        if self._loses(method) and self.lost[method] < self._times:
            self.lost[method] += 1
            raise Unavailable("The answer was lost.", reason="answer_lost")


class _Wrapped:
    def __init__(self, servicer: Any, replies: LostReplies) -> None:
        self._servicer, self._replies = servicer, replies

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._servicer, method)
        if inspect.isasyncgenfunction(found):

            async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
                messages = [message async for message in found(request, context)]
                self._replies.answered(method)
                for message in messages:
                    yield message

            return stream

        async def unary(request: Any, context: Any) -> Any:
            answer = await found(request, context)
            self._replies.answered(method)
            return answer

        return unary
