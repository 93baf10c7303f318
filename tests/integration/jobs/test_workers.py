"""The table of workers."""

from __future__ import annotations

from onevoice_jobs.workers import deregister, forget_dead, heartbeat, list_workers


async def test_workers_show_heartbeats_until_they_deregister_or_are_forgotten(engine):
    await heartbeat(engine, "worker-1", service="orchestrator", version="1", slots=4, busy=0)
    await heartbeat(engine, "worker-2", service="orchestrator", version="1", slots=4, busy=1)
    await heartbeat(engine, "worker-1", service="orchestrator", version="1", slots=4, busy=3)
    await deregister(engine, "worker-2")
    (worker,) = await list_workers(engine)
    assert (worker.id, worker.slots, worker.busy, worker.alive) == ("worker-1", 4, 3, True)
    assert worker.seen_at > worker.started_at
    (silent,) = await list_workers(engine, alive_s=0)
    assert not silent.alive
    assert await forget_dead(engine) == 0
    assert await forget_dead(engine, older_than_s=0) == 1
    assert await list_workers(engine) == []
