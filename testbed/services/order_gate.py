"""What an agent checks before it does what it is told: lease, serial number, age."""

from dataclasses import dataclass

from testbed.bus.order_messages import LeaseAsked, Order


@dataclass
class _Holder:
    lease: str
    coordinator: str
    until_s: float
    last_serial: int = -1
    # Least difference of the two hosts' clocks that was ever seen: the fastest message's.
    offset_s: float = float("inf")


class OrderGate:
    """Lets orders of one coordinator through, each once and none late.

    A lease lasts until its holder was silent for as long as it asked for. Clocks of two hosts are
    not compared: of all messages under a lease the fastest one tells how far they differ, and a
    message that took longer than that by more than it is valid for is refused.
    """

    def __init__(self) -> None:
        self._holder: _Holder | None = None
        self._ended = False

    def holder(self, now_s: float) -> str | None:
        """Name of the coordinator that holds the lease."""
        holder = self._current(now_s)
        return None if holder is None else holder.coordinator

    def grants(self, asked: LeaseAsked, now_s: float) -> bool:
        """Give or extend the lease, unless another one holds it."""
        holder = self._current(now_s)
        if holder is not None and holder.lease != asked.lease:
            return False
        if holder is None:
            holder = self._holder = _Holder(asked.lease, asked.coordinator, now_s)
        holder.until_s = now_s + asked.ttl_s
        holder.offset_s = min(holder.offset_s, now_s - asked.sent_s)
        return True

    def returned(self, lease: str) -> None:
        """Take the lease back from its holder."""
        if self._holder is not None and self._holder.lease == lease:
            self._holder, self._ended = None, True

    def problem_of(self, order: Order, now_s: float) -> tuple[str, str] | None:
        """Kind of what is wrong with an order, and in words; ``None`` if it is to be done."""
        holder = self._current(now_s)
        if holder is None or order.lease != holder.lease:
            held = f"it belongs to {holder.coordinator}" if holder else "nobody holds it"
            return "without lease", f"an order needs the lease; {held}"
        if order.serial <= holder.last_serial:
            return (
                "replayed",
                f"order {order.serial} is not newer than {holder.last_serial}, which was done",
            )
        holder.last_serial = order.serial
        offset_s = now_s - order.sent_s
        holder.offset_s = min(holder.offset_s, offset_s)
        late_s = offset_s - holder.offset_s
        if late_s > order.valid_s:
            return "late", f"the order is {late_s:.2f} s old, valid for {order.valid_s:.2f} s"
        return None

    def ended(self, now_s: float) -> bool:
        """Whether a lease has run out, or was returned, since this was asked last."""
        self._current(now_s)
        ended, self._ended = self._ended, False
        return ended

    def _current(self, now_s: float) -> _Holder | None:
        if self._holder is not None and now_s > self._holder.until_s:
            self._holder, self._ended = None, True
        return self._holder
