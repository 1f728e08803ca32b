"""What a USRP can do: ranges that it tells, and powers that its data sheet does."""

from collections.abc import Sequence
from typing import Any

from drivers import ad936x
from drivers.loopback import is_loopback
from drivers.radio_errors import RadioError
from drivers.tuning import Capabilities, Range
from drivers.usrp.messages import MAX_SAMPLES
from drivers.usrp.options import UsrpOptions
from drivers.usrp.slots import channel_slots
from drivers.usrp.tuner import TIMED_TUNE_BOARDS

_WITH_AD936X = ("e31", "e320", "b20", "b21")
# Ettus states less for these boards than the chip's maker does for the chip.
_DAMAGE_DBM = -15.0


def capabilities_of(
    usrp: Any, options: UsrpOptions, found: Sequence[dict[str, str]]
) -> Capabilities:
    """Capabilities of all boards together.

    Parameters
    ----------
    found
        What each board said of itself.

    Raises
    ------
    RadioError
        If the options ask for what the boards cannot do, or powers are not known.
    """
    channels, sender = options.rx_channels or (), options.tx_channel
    products = {str(board.get("product", board.get("type", "?"))).lower() for board in found}
    rx_dbm, tx_dbm, damage_dbm = _powers_dbm(options, products)
    _check_timed_tune(usrp, options)
    sources = usrp.get_time_sources(0), usrp.get_clock_sources(0)
    return Capabilities(
        num_rx_channels=len(channels),
        num_tx_channels=1,
        carrier_range_hz=_common(
            *(_range(usrp.get_rx_freq_range(channel)) for channel in channels),
            _range(usrp.get_tx_freq_range(sender)),
        ),
        sample_rate_range_hz=_common(
            *(_range(usrp.get_rx_rates(channel)) for channel in channels),
            _range(usrp.get_tx_rates(sender)),
        ),
        max_bandwidth_hz=_range(usrp.get_rx_bandwidth_range(channels[0]))[1],
        rx_gain_range_db=_common(*(_range(usrp.get_rx_gain_range(ch)) for ch in channels)),
        tx_gain_range_db=_range(usrp.get_tx_gain_range(sender)),
        max_transmit_samples=MAX_SAMPLES,
        max_receive_samples=MAX_SAMPLES,
        tx_full_scale_dbm=tx_dbm,
        rx_full_scale_dbm=rx_dbm,
        receive_damage_dbm=damage_dbm,
        timed_bursts=True,
        # A burst that repeats must be fed while libuhd keeps the interpreter's lock for calls of
        # several milliseconds, which is longer than a device's buffer lasts.
        repeats=False,
        pps="external" in sources[0],
        external_clock="external" in sources[1],
        hardware_trigger=False,
        overflow_detection=True,
        phase_stable_retune=options.timed_tune,
        coherent_groups=_coherent_groups(usrp, options),
        radiates=not all(
            board.get("fpga") == "emulated" and is_loopback(str(board.get("mgmt_addr", "")))
            for board in found
        ),
    )


def _powers_dbm(options: UsrpOptions, products: set[str]) -> tuple[float, float, float]:
    """Full scale of receiving and sending, and what a receiver bears."""
    given = options.rx_full_scale_dbm, options.tx_full_scale_dbm, options.receive_damage_dbm
    known: tuple[float | None, ...] = (None, None, None)
    if all(product.startswith(_WITH_AD936X) for product in products):
        known = ad936x.RX_FULL_SCALE_DBM, ad936x.TX_FULL_SCALE_DBM, _DAMAGE_DBM
    either = zip(given, known, strict=True)
    rx_dbm, tx_dbm, damage_dbm = (mine if mine is not None else usual for mine, usual in either)
    if rx_dbm is None or tx_dbm is None or damage_dbm is None:
        msg = f"no powers are known for a USRP {'/'.join(sorted(products))}"
        raise RadioError(
            msg, "give rx_full_scale_dbm, tx_full_scale_dbm and receive_damage_dbm in its options"
        )
    return rx_dbm, tx_dbm, damage_dbm


def _check_timed_tune(usrp: Any, options: UsrpOptions) -> None:
    names = {_daughterboard(usrp, channel) for channel in options.rx_channels or ()}
    if options.timed_tune and not all(any(b in n for b in TIMED_TUNE_BOARDS) for n in names):
        msg = f"timed_tune: {', '.join(sorted(names))} cannot time its tune"
        raise RadioError(msg, f"only {', '.join(TIMED_TUNE_BOARDS)} can; leave it out")


def _daughterboard(usrp: Any, channel: int) -> str:
    info = usrp.get_usrp_rx_info(channel)
    return f"{info.get('rx_id', '')} {info.get('rx_subdev_name', '')}".upper()


def _coherent_groups(usrp: Any, options: UsrpOptions) -> tuple[tuple[int, ...], ...]:
    """Columns of a block whose channels share a synthesizer: those of one daughterboard.

    Those of the board that transmits come first.
    """
    channels = options.rx_channels or ()
    if options.shared_lo:
        return (tuple(range(len(channels))),)
    slots = channel_slots(usrp, usrp.get_rx_subdev_spec)
    groups: dict[tuple[int, str], list[int]] = {}
    for column, channel in enumerate(channels):
        groups.setdefault(slots[channel], []).append(column)
    own_board = channel_slots(usrp, usrp.get_tx_subdev_spec)[options.tx_channel][0]
    order = sorted(groups, key=lambda slot: slot[0] != own_board)
    return tuple(tuple(groups[slot]) for slot in order)


def _range(ranges: Any) -> Range:
    return float(ranges.start()), float(ranges.stop())


def _common(*ranges: Range) -> Range:
    return max(low for low, _ in ranges), min(high for _, high in ranges)
