"""Routes for the state of the deployment."""

from __future__ import annotations

from fastapi import APIRouter, Response

from services.gateway.dependencies import OperatorDep, ServicesDep
from services.gateway.errors import open_problems
from services.gateway.monitoring.schemas import HealthOut, Live

HEALTH_PATH = "/api/monitoring/health"

router = APIRouter(tags=["monitoring"])


@router.get(
    HEALTH_PATH,
    summary="Look at everything",
    responses={
        503: {"model": HealthOut, "description": "Requests cannot be served."},
        **open_problems((500, "internal")),
    },
)
async def get_health(services: ServicesDep, operator: OperatorDep, response: Response) -> HealthOut:
    """
    Database, storage, queue, every service, and the workers' heartbeats. The names of workers, which hold those of
    machines and processes, are only for the key of an operator.
    """
    health = await services.monitor.health()
    response.status_code = 503 if health.status == "down" else 200
    return health if operator is not None else health.without_names()


@router.get("/healthz", summary="Is the process alive?", responses=open_problems((500, "internal")))
async def get_liveness() -> Live:
    """Answers as long as the process does."""
    return Live()


@router.get("/readyz", summary="Can requests be served?", responses=open_problems((503, "not_ready")))
async def get_readiness(services: ServicesDep) -> Live:
    """Answers while the database and the storage do."""
    await services.monitor.check_ready()
    return Live()
