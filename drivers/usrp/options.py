"""What a site may say about a USRP, in its ``options``."""

from typing import Literal

import msgspec

from drivers.radio import RadioSpec
from drivers.radio_errors import RadioError


class UsrpOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ``options`` of a radio of kind ``usrp``.

    Attributes
    ----------
    rx_channels
        Channels that receive, counted over all boards in the order of the address; without it as
        many as the node has elements, from the first.
    tx_channel
        The channel that sends.
    shared_lo
        The boards share a local oscillator, so that all their channels are coherent.
    timed_tune
        Tune all boards at one tick, so that phases survive a retune: SBX, UBX and OBX only.
    pps_std_ns
        Standard deviation of the edges' arrival from radio to radio. 30 ns: 100 ns is the most
        that the edge moves when it is registered with the 10 MHz, uniformly, so 100 / sqrt(12).
    timeout_s
        How long a call that should be quick may take.
    otw
        Sample format between host and device.
    rx_full_scale_dbm, tx_full_scale_dbm, receive_damage_dbm
        As in `drivers.tuning.Capabilities`; needed for boards without an AD936x.
    device_args
        More device arguments of UHD.
    """

    rx_channels: tuple[int, ...] | None = None
    tx_channel: int = 0
    shared_lo: bool = False
    timed_tune: bool = False
    pps_std_ns: float = 30.0
    timeout_s: float = 5.0
    otw: Literal["sc16", "sc12", "sc8"] = "sc16"
    rx_full_scale_dbm: float | None = None
    tx_full_scale_dbm: float | None = None
    receive_damage_dbm: float | None = None
    device_args: dict[str, str] = {}

    @property
    def pps_std_s(self) -> float:
        """`pps_std_ns` in seconds."""
        return self.pps_std_ns * 1e-9


def usrp_options(spec: RadioSpec) -> UsrpOptions:
    """Options of a radio, with the channels that it receives on filled in.

    Raises
    ------
    RadioError
        If one is unknown, of a wrong type, or does not fit the node.
    """
    try:
        options = msgspec.convert(spec.options, UsrpOptions)
    except msgspec.ValidationError as error:
        msg = f"node {spec.node_id!r}: options of its USRP: {error}"
        raise RadioError(msg, "correct them in the site file") from error
    channels = options.rx_channels
    if channels is None:
        channels = tuple(range(spec.num_elements))
    if len(set(channels)) != spec.num_elements:
        msg = (
            f"node {spec.node_id!r}: rx_channels must name a channel for each of its "
            f"{spec.num_elements} elements, got {list(channels)}"
        )
        raise RadioError(msg, "correct them in the site file")
    return msgspec.structs.replace(options, rx_channels=channels)
