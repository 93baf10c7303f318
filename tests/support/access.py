"""The callers of every method of every service, as the services declare them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from onevoice_kit.grpc.interceptors import Access

_STAGES = ("asr", "translate", "tts", "mixer", "billing")


class _Declared(Mapping[str, Access]):
    """Imports a service when its entry is read: a stand-in for one stage starts in half the time without the others."""

    def __getitem__(self, service: str) -> Access:
        stage = next((stage for stage in _STAGES if service == _full_name(stage)), None)
        if stage is None:
            raise KeyError(service)
        access: Access = import_module(f"services.{stage}.servicer").ACCESS
        return access

    def __iter__(self) -> Iterator[str]:
        return map(_full_name, _STAGES)

    def __len__(self) -> int:
        return len(_STAGES)


def _full_name(stage: str) -> str:
    return f"onevoice.{stage}.v1.{stage.capitalize()}Service"


ACCESS: Mapping[str, Access] = _Declared()
"""By the full name of the service."""
