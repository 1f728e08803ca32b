"""What an AD936x board is and can do, read from its libiio context."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from drivers import ad936x
from drivers.pluto.options import PlutoOptions, is_loopback
from drivers.radio import RadioInfo
from drivers.radio_errors import RadioError
from drivers.tuning import Capabilities, Range

# Of one buffer: 4 MiB a channel, which the DMA memory of all these boards holds.
MAX_SAMPLES = 1 << 20
# pyadi-iio takes no lower rate; it loads a filter for each, so the chip's lowest is in reach.
_MIN_RATE_HZ = 521e3
_CHANNELS_PER_CHIP = 2


def chosen_channels(
    options: PlutoOptions, num_elements: int, num_rx: int, num_tx: int
) -> tuple[int, ...]:
    """Receive channels in use.

    Raises
    ------
    RadioError
        If the options name a channel that the board does not have.
    """
    wanted = options.rx_channels or tuple(range(min(num_elements, num_rx)))
    if max(wanted) >= num_rx or options.tx_channel >= num_tx:
        msg = (
            f"the board has {num_rx} receive and {num_tx} transmit channels, the options name "
            f"rx_channels {list(wanted)} and tx_channel {options.tx_channel}"
        )
        raise RadioError(msg, "correct the radio's options in the site file")
    return wanted


def coherent_groups(
    channels: Sequence[int], *, shared_external_lo: bool
) -> tuple[tuple[int, ...], ...]:
    """Groups of the channels in use that share a local oscillator: those of one chip."""
    groups: dict[int, list[int]] = {}
    for index, channel in enumerate(channels):
        chip = 0 if shared_external_lo else channel // _CHANNELS_PER_CHIP
        groups.setdefault(chip, []).append(index)
    return tuple(tuple(group) for group in groups.values())


def overlap(*ranges: Range) -> Range:
    """What lies in all ranges."""
    return max(low for low, _ in ranges), min(high for _, high in ranges)


def said_range(text: str | None, nominal: Range) -> Range:
    """A device's ``[lowest step highest]`` as far as it is nominal; all of that if it is silent."""
    numbers = re.findall(r"-?\d+(?:\.\d+)?", text or "")
    if len(numbers) != 3:
        return nominal
    return overlap((float(numbers[0]), float(numbers[2])), nominal)


def capabilities_of(
    *,
    uri: str,
    attributes: Mapping[str, str],
    channels: Sequence[int],
    options: PlutoOptions,
    carrier_range_hz: Range,
    max_bandwidth_hz: float,
    has_tdd: bool,
    has_status: bool,
) -> Capabilities:
    """What the board can do, by its context and the chip's data sheet.

    The gains are those that the receiver has on every carrier. A device radiates unless it says
    that it is emulated, and is on this host.
    """
    emulated = attributes.get("isac_emulated") == "1" and is_loopback(uri)
    return Capabilities(
        num_rx_channels=len(channels),
        num_tx_channels=1,
        carrier_range_hz=carrier_range_hz,
        sample_rate_range_hz=overlap((_MIN_RATE_HZ, 1e9), ad936x.SAMPLE_RATE_RANGE_HZ),
        max_bandwidth_hz=max_bandwidth_hz,
        rx_gain_range_db=overlap(
            ad936x.RX_GAIN_RANGE_LOW_BAND_DB,
            ad936x.RX_GAIN_RANGE_MID_BAND_DB,
            ad936x.RX_GAIN_RANGE_HIGH_BAND_DB,
        ),
        tx_gain_range_db=ad936x.TX_ATTENUATION_RANGE_DB,
        max_transmit_samples=MAX_SAMPLES,
        max_receive_samples=MAX_SAMPLES,
        tx_full_scale_dbm=ad936x.TX_FULL_SCALE_DBM,
        rx_full_scale_dbm=ad936x.RX_FULL_SCALE_DBM,
        receive_damage_dbm=ad936x.RECEIVE_DAMAGE_DBM,
        timed_bursts=False,
        repeats=True,
        pps=False,
        external_clock=False,
        hardware_trigger=has_tdd,
        overflow_detection=has_status,
        phase_stable_retune=False,
        coherent_groups=coherent_groups(channels, shared_external_lo=options.shared_external_lo),
        radiates=not emulated,
    )


def info_of(
    uri: str, attributes: Mapping[str, str], iio: Any, adi: Any, able: Capabilities
) -> RadioInfo:
    """Who the board is; one without a serial goes by its address."""
    library = ".".join(str(part) for part in iio.version[:2])
    firmware = attributes.get("fw_version", "unknown")
    return RadioInfo(
        kind="pluto",
        serial=attributes.get("hw_serial") or uri,
        software=f"pyadi-iio {adi.__version__}, libiio {library}, firmware {firmware}",
        capabilities=able,
    )
