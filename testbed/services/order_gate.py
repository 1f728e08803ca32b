"""What an agent checks before it does what it is told: lease, serial number, age."""

from dataclasses import dataclass

from testbed.bus.order_messages import LeaseAsked, Order


@dataclass
class _Lease:
    name: str
    coordinator: str
    until_s: float | None = None  # `None` once it has ended
    last_serial: int = -1


class OrderGate:
    """Lets orders of one coordinator through, each once and none late.

    A lease lasts until its holder was silent for as long as it asked for. Until when an order may
    be carried out is said on this agent's own clock, so no two hosts' clocks are compared.
    """

    def __init__(self) -> None:
        # Of a lease that ended as well: who takes it up again does not repeat orders either.
        self._last: _Lease | None = None
        self._ended = False

    def holder(self, now_s: float) -> str | None:
        """Name of the coordinator that holds the lease."""
        held = self._held(now_s)
        return None if held is None else held.coordinator

    def grants(self, asked: LeaseAsked, now_s: float) -> bool:
        """Give or extend the lease, unless another one holds it."""
        held = self._held(now_s)
        if held is not None and held.name != asked.lease:
            return False
        if self._last is None or self._last.name != asked.lease:
            self._last = _Lease(asked.lease, asked.coordinator)
        self._last.until_s = now_s + asked.ttl_s
        return True

    def returned(self, lease: str, now_s: float) -> None:
        """Take the lease back from its holder."""
        held = self._held(now_s)
        if held is not None and held.name == lease:
            self._end(held)

    def problem_of(self, order: Order, now_s: float) -> tuple[str, str] | None:
        """Kind of what is wrong with an order, and in words; ``None`` if it is to be done."""
        held = self._held(now_s)
        if held is None or order.lease != held.name:
            owner = f"it belongs to {held.coordinator}" if held else "nobody holds it"
            return "without lease", f"an order needs the lease; {owner}"
        if order.serial <= held.last_serial:
            return (
                "replayed",
                f"order {order.serial} is not newer than {held.last_serial}, which was done",
            )
        held.last_serial = order.serial
        if not now_s <= order.until_s:  # so that no number at all is late, too
            return "late", f"the order came {now_s - order.until_s:.2f} s after its time was over"
        return None

    def ended(self, now_s: float) -> bool:
        """Whether a lease has run out, or was returned, since this was asked last."""
        self._held(now_s)
        ended, self._ended = self._ended, False
        return ended

    def _held(self, now_s: float) -> _Lease | None:
        last = self._last
        if last is None or last.until_s is None:
            return None
        if now_s > last.until_s:
            self._end(last)
            return None
        return last

    def _end(self, lease: _Lease) -> None:
        lease.until_s = None
        self._ended = True
