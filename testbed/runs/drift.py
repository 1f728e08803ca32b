"""What localizations show of the entries that they subtract, for `calibration.entry_drift`."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from calibration.dictionary import BackgroundDictionary
from calibration.dictionary_entry import DictionaryError, EntryHeader
from calibration.entry_drift import Echo, Seen, keep_seen
from drivers.geometry import (
    SPEED_OF_LIGHT_M_PER_S,
    FloatArray,
    arrival_angle_rad,
    bistatic_delay_s,
)
from drivers.node import Node
from fusion.network import Network
from fusion.sensing import PositionEstimate
from processing.report import Hypothesis, LinkReport
from sim_backend.source import median_var_ratio
from testbed.errors import explain
from testbed.runs.localize import SensingRecord

_MOST_NAMED = 4
_log = logging.getLogger(__name__)


def keep_drift(root: Path, network: Network, records: Sequence[SensingRecord]) -> None:
    """Add what a run's captures showed to what a dictionary keeps; say which entries drift.

    Once a run, after it: sensing waits for no disk. That it cannot be kept ends no run either, and
    is said.
    """
    if not records:
        return
    try:
        dictionary = BackgroundDictionary.existing(root)
        drifts = keep_seen(dictionary, seen_in(records, network, headers_of(dictionary)))
    except (DictionaryError, OSError) as error:
        _log.warning("what captures showed of backgrounds is not kept: %s", explain(error))
        return
    drifting = [drift for drift in drifts if drift.reason]
    if drifting:
        said = "; ".join(f"{' -> '.join(d.link)}: {d.reason}" for d in drifting[:_MOST_NAMED])
        more = len(drifting) - _MOST_NAMED
        _log.warning(
            "backgrounds that drift: %s%s; see testbed dictionary check, without a target",
            said, f", and {more} more" if more > 0 else "",
        )  # fmt: skip


def seen_in(
    records: Sequence[SensingRecord],
    network: Network,
    headers: Mapping[tuple[str, str], EntryHeader],
) -> list[Seen]:
    """What each capture of a run showed of its entry."""
    last = records[-1].estimate
    # Of a position that is not sure nobody knows what it explains.
    estimate = last if last.status == "converged" else None
    return [
        _seen(report, report.background_hash, network, headers, estimate)
        for record in records
        for report in record.reports
        if report.background_hash is not None
    ]


def _seen(
    report: LinkReport,
    content_hash: str,
    network: Network,
    headers: Mapping[tuple[str, str], EntryHeader],
    estimate: PositionEstimate | None,
) -> Seen:
    tx, rx = (network.nodes[network.index[name]] for name in (report.tx_id, report.rx_id))
    link, grid, array = (tx.location_id, rx.location_id), network.grid, rx.array
    resolution = (
        SPEED_OF_LIGHT_M_PER_S / grid.bandwidth_hz,
        grid.wavelength_m / (array.num_elements * array.spacing_m),
    )
    echoes = None
    if estimate is not None and report.delay_is_absolute:
        echoes = _unexplained(report, tx, rx, estimate.position_m, resolution)
    return Seen(
        link=link,
        content_hash=content_hash,
        noise_db=noise_over_learned_db(report, headers.get(link)),
        outside_db=report.outside_db,
        echoes=echoes,
        resolution=resolution,
    )


def noise_over_learned_db(report: LinkReport, header: EntryHeader | None) -> float | None:
    """Noise of what is left, over what capture and entry bring as it was learned, in decibels.

    ``None`` where that is not known. What a link budget expects is off by 3 dB where phase noise of
    a strong path is more than the receiver's own.
    """
    learned_var = None if header is None else header.learned_with.noise_var
    if header is None or not learned_var or header.content_hash != report.background_hash:
        return None
    both = 1.0 + median_var_ratio(header.num_captures)
    return float(10.0 * np.log10(report.noise_var * report.num_averaged / (learned_var * both)))


def headers_of(dictionary: BackgroundDictionary) -> dict[tuple[str, str], EntryHeader]:
    """Headers of all entries that can be read, by location of transmitter and receiver."""
    headers = {}
    for path in dictionary.header_paths():
        with suppress(DictionaryError):
            header = dictionary.header(path)
            headers[header.tx_location, header.rx_location] = header
    return headers


def _unexplained(
    report: LinkReport,
    tx: Node,
    rx: Node,
    target_m: FloatArray,
    resolution: tuple[float, float],
) -> list[Echo]:
    """Echoes that are not where the target's is: by more than a resolution cell and their error."""
    delay_s = float(bistatic_delay_s(tx.pose.position_m, rx.pose.position_m, target_m))
    sine = float(np.sin(arrival_angle_rad(rx.pose, target_m)))

    def is_explained(echo: Hypothesis) -> bool:
        var_s2 = echo.delay_var_s2 + report.link_delay_var_s2
        apart_s = abs(echo.delay_s - delay_s) - 3.0 * var_s2**0.5
        is_near = apart_s * SPEED_OF_LIGHT_M_PER_S <= resolution[0]
        if echo.sine is None or echo.sine_var is None:
            return is_near
        return is_near and abs(echo.sine - sine) - 3.0 * echo.sine_var**0.5 <= resolution[1]

    return [
        Echo(echo.delay_s * SPEED_OF_LIGHT_M_PER_S, echo.sine)
        for echo in report.hypotheses
        if not is_explained(echo)
    ]
