"""Workers that an agent may send captures to."""

from collections import OrderedDict
from dataclasses import dataclass

# A worker that was silent for so long gets no captures.
_SILENT_S = 2.0
_MOST = 256


@dataclass(frozen=True, slots=True)
class _Heard:
    peer: bytes
    at_s: float


class ReadyWorkers:
    """Who said not long ago that it is there, and the way to it."""

    def __init__(self) -> None:
        self._heard: OrderedDict[str, _Heard] = OrderedDict()  # the latest last

    def meet(self, name: str, peer: bytes, now_s: float) -> bool:
        """Take in that a worker is there; whether that is news."""
        self._forget(now_s)
        is_new = self._heard.pop(name, None) is None
        self._heard[name] = _Heard(peer, now_s)
        if len(self._heard) > _MOST:
            self._heard.popitem(last=False)
        return is_new

    def names(self, now_s: float) -> list[str]:
        """All of them."""
        self._forget(now_s)
        return list(self._heard)

    def peer(self, name: str, now_s: float) -> bytes | None:
        """The way to one; ``None`` if it is not there."""
        self._forget(now_s)
        return self._heard[name].peer if name in self._heard else None

    def _forget(self, now_s: float) -> None:
        while self._heard and now_s - next(iter(self._heard.values())).at_s > _SILENT_S:
            self._heard.popitem(last=False)
