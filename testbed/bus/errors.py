"""What can be wrong between processes, in one line for whoever started them."""


class BusError(Exception):
    """An address that cannot be used, or a peer that does not answer."""


class AddressInUseError(BusError):
    """Something listens at the address already."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address}: already in use; is another one running?")


class SecurityError(BusError):
    """A connection that would leave this machine without keys, or that the peer refuses."""


class NoAnswerError(BusError):
    """A peer that did not answer in time."""

    def __init__(self, address: str, timeout_s: float | None, hint: str = "is it running?") -> None:
        within = "" if timeout_s is None else f" within {timeout_s:g} s"
        super().__init__(f"nobody answers at {address}{within}; {hint}")
