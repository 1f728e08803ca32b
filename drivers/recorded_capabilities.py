"""What a replayed radio can do: what was done with it when it was recorded."""

import math
from collections.abc import Iterable, Sequence

from drivers.burst import SoundingBurst
from drivers.node import Node
from drivers.radio import RadioInfo
from drivers.radio_errors import RadioNotFoundError
from drivers.recording import Recording
from drivers.recording_schema import IqFields
from drivers.tuning import Capabilities, Range, Tuning

# Transmit gains that a caller computes from powers fall beside the recorded one by rounding.
_TX_GAIN_MARGIN_DB = 1.0
# Wider than any radio's, for a node whose own gains were not recorded.
_ANY_GAIN_DB = (-100.0, 100.0)


def recorded_info(recording: Recording, node_id: str, fields: Sequence[IqFields]) -> RadioInfo:
    """Identity of a replayed radio, from the blocks that tell of it."""
    if not fields:
        msg = f"{recording.root}: no IQ blocks of node {node_id!r}"
        raise RadioNotFoundError(msg, f"its nodes: {', '.join(recording.node_ids) or 'none'}")
    node = recording.node(node_id)
    num_channels = {f.shape[1] for f in fields if f.rx_id == node_id} or {node.array.num_elements}
    if len(num_channels) > 1:
        msg = f"{recording.root}: blocks of node {node_id!r} have {sorted(num_channels)} channels"
        raise RadioNotFoundError(msg, "record every array in a recording of its own")
    return RadioInfo(
        kind="replay",
        serial=f"replay-{recording.root.name}-{node_id}",
        software=fields[0].software,
        capabilities=_capabilities(fields, num_channels.pop(), node, recording.bursts),
    )


def recorded_tunings(fields: Sequence[IqFields]) -> list[Tuning]:
    """All tunings of blocks, in order of appearance."""
    return [parts.tuning() for parts in dict.fromkeys(f.tuning for f in fields)]


def _capabilities(
    fields: Sequence[IqFields], num_channels: int, node: Node, bursts: Sequence[SoundingBurst]
) -> Capabilities:
    """What a radio must have been able to do to record blocks; what nobody can tell is denied.

    The node's nominal power belongs to the first burst at the recorded transmit gain.
    """
    tunings, first = recorded_tunings(fields), fields[0]
    rx_gain_range_db = _range(t.rx_gain_db for t in tunings)
    low_db, high_db = _range(t.tx_gain_db for t in tunings)
    tx_gain_range_db = low_db - _TX_GAIN_MARGIN_DB, high_db + _TX_GAIN_MARGIN_DB
    if first.rx_id != node.node_id:
        rx_gain_range_db = tx_gain_range_db = _ANY_GAIN_DB
    unused_db = tx_gain_range_db[1] - first.tuning.tx_gain_db
    backoff_db = -10.0 * math.log10(bursts[0].mean_square)
    return Capabilities(
        num_rx_channels=num_channels,
        num_tx_channels=1,
        carrier_range_hz=_range(t.carrier_hz for t in tunings),
        sample_rate_range_hz=_range(t.sample_rate_hz for t in tunings),
        max_bandwidth_hz=max(t.sample_rate_hz for t in tunings),
        rx_gain_range_db=rx_gain_range_db,
        tx_gain_range_db=tx_gain_range_db,
        max_transmit_samples=max(burst.num_samples for burst in bursts),
        max_receive_samples=min(f.shape[0] for f in fields),
        tx_full_scale_dbm=node.tx_power_dbm + backoff_db + unused_db,
        rx_full_scale_dbm=first.full_scale_dbm + first.tuning.rx_gain_db,
        receive_damage_dbm=math.inf,  # nothing arrives
        timed_bursts=False,
        repeats=False,
        pps=any(t.time_source == "pps" for t in tunings),
        external_clock=any(t.clock_source == "external" for t in tunings),
        hardware_trigger=False,
        overflow_detection=any(f.overflow for f in fields),
        phase_stable_retune=False,
        coherent_groups=(tuple(range(num_channels)),),
        radiates=False,
    )


def _range(values: Iterable[float]) -> Range:
    found = list(values)
    return min(found), max(found)
