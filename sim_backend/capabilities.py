"""What a simulated radio can do, as far as its impairments allow."""

from drivers.node import Node
from drivers.radio_errors import RadioError
from drivers.tuning import Capabilities
from sim_backend.impairments import Impairments

_MAX_SAMPLES = 1 << 22
_HIGHEST_TX_GAIN_DB = 90.0
# The simulated amplifier reaches full scale this far over the node's nominal power, which leaves
# room for the peaks of a burst.
_AMPLIFIER_HEADROOM_DB = 6.0


def board_elements(
    node: Node, impairments: Impairments, boards: int
) -> tuple[tuple[int, ...], ...]:
    """Elements of an array that each of its motherboards has.

    Raises
    ------
    RadioError
        If boards cannot share them, or have no reference in common.
    """
    size = node.array.num_elements
    if size % boards:
        msg = f"node {node.node_id!r}: {boards} boards cannot share {size} elements evenly"
        raise RadioError(msg, "correct its radio's options in the site file")
    if boards > 1 and not impairments.shared_reference:
        msg = f"node {node.node_id!r}: {boards} boards without a reference in common have no time"
        raise RadioError(msg, "give the site shared_reference, or one board")
    part = size // boards
    return tuple(tuple(range(first, first + part)) for first in range(0, size, part))


def simulated_capabilities(
    node: Node, impairments: Impairments, groups: tuple[tuple[int, ...], ...]
) -> Capabilities:
    """What a simulated radio can do: anything an SDR does, as far as its impairments allow."""
    return Capabilities(
        num_rx_channels=node.array.num_elements,
        num_tx_channels=1,
        carrier_range_hz=(50e6, 100e9),
        sample_rate_range_hz=(1e5, 1e9),
        max_bandwidth_hz=1e9,
        rx_gain_range_db=(0.0, 90.0),
        tx_gain_range_db=(0.0, _HIGHEST_TX_GAIN_DB),
        max_transmit_samples=_MAX_SAMPLES,
        max_receive_samples=_MAX_SAMPLES,
        tx_full_scale_dbm=node.tx_power_dbm + _AMPLIFIER_HEADROOM_DB,
        rx_full_scale_dbm=0.0,
        receive_damage_dbm=10.0,
        timed_bursts=impairments.timed,
        repeats=True,
        pps=impairments.shared_reference,
        external_clock=impairments.shared_reference,
        hardware_trigger=False,
        overflow_detection=impairments.overflow_detection,
        phase_stable_retune=impairments.retune_phase == "kept",
        coherent_groups=groups,
        radiates=False,
    )
