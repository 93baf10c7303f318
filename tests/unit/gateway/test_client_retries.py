"""The gateway's calls to other services outlast a short absence, within a budget, and repeat nothing else."""

from __future__ import annotations

import pytest

from onevoice_kit.errors import Busy, DeadlineExceeded, OneVoiceError, QuotaExceeded, Unavailable
from services.gateway.clients import with_retries


class Service:
    """Raises the errors, one per call; then answers."""

    def __init__(self, *errors: OneVoiceError) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


async def test_a_replica_that_is_replaced_is_not_noticed() -> None:
    service = Service(Unavailable(), Unavailable())
    assert (await with_retries(service), service.calls) == ("answer", 3)


@pytest.mark.parametrize(
    "error",
    [
        Busy(retry_after=0.1),
        DeadlineExceeded(),
        QuotaExceeded(),
        Unavailable(retryable=False),
        Unavailable(retry_after=30.0),
    ],
)
async def test_what_a_user_would_wait_for_in_vain_is_raised_at_once(error: OneVoiceError) -> None:
    service = Service(error)
    with pytest.raises(type(error)):
        await with_retries(service)
    assert service.calls == 1
