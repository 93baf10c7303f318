"""Routes that tell how the deployment is."""

from __future__ import annotations

from fastapi import APIRouter, Response

from services.gateway.dependencies import ServicesDep
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
async def get_health(services: ServicesDep, response: Response) -> HealthOut:
    """Database, storage, queue, every service, and the workers' last signs of life."""
    health = await services.monitor.health()
    response.status_code = 503 if health.status == "down" else 200
    return health


@router.get("/healthz", summary="Is the process alive?", responses=open_problems((500, "internal")))
async def get_liveness() -> Live:
    """Answers as long as the process does."""
    return Live()


@router.get("/readyz", summary="Can requests be served?", responses=open_problems((503, "not_ready")))
async def get_readiness(services: ServicesDep) -> Live:
    """Answers while the database and the storage do."""
    await services.monitor.check_ready()
    return Live()
