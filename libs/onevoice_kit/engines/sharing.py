"""Loaded models that the engines of a process share."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

K = TypeVar("K", bound=Hashable)
M = TypeVar("M")


class SharedModels(Generic[K, M]):
    """One model for each key, loaded where no one holds it; it goes when its last holder lets go."""

    def __init__(self, load: Callable[[K], M]) -> None:
        self._load = load
        self._lock = Lock()
        self._held: WeakValueDictionary[K, M] = WeakValueDictionary()

    def get(self, key: K) -> M:
        """The model; waits while another thread loads it. Raises what loading raises."""
        with self._lock:
            model = self._held.get(key)
            if model is None:
                model = self._held[key] = self._load(key)
            return model
