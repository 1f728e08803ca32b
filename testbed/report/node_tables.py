"""What the calibration of nodes found, as tables of the report."""

import numpy as np

from calibration.link_geometry import EndGeometry
from calibration.node_files import NodeCalibrationFile, NodeRecord
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, FloatArray, distance_m, wrap_angle
from drivers.node_errors import BORESIGHT_RAD, TIME_M, X_M, Y_M
from testbed.report.facts import DictionaryFacts
from testbed.report.html import Html, table
from testbed.report.paths import errors_of


def elements_of(nodes: NodeCalibrationFile) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Gain in dB and phase in degrees of each element, shape ``(M,)``, of nodes with arrays."""
    gains = {
        record.node_id: np.array([complex(*gain) for gain in record.element_gain])
        for record in nodes.nodes
        if len(record.element_gain) > 1
    }
    gain_db = {
        name: 20.0 * np.log10(np.maximum(np.abs(gain), 1e-5)) for name, gain in gains.items()
    }
    return gain_db, {name: np.degrees(np.angle(gain)) for name, gain in gains.items()}


def array_table(nodes: NodeCalibrationFile) -> Html:
    """A row a receiving array: what its elements are off by, and what is left unknown of them."""
    gain_db, phase_deg = elements_of(nodes)
    rows = []
    for record in nodes.nodes:
        name = record.node_id
        if name not in gain_db:
            continue
        delay_ps = 1e12 * np.array(record.element_delay_s)
        rows.append(
            (
                name, str(len(gain_db[name])), f"{_rms(gain_db[name]):.2f}",
                f"{np.max(np.abs(gain_db[name])):.2f}", f"{_rms(phase_deg[name]):.1f}",
                f"{np.max(np.abs(phase_deg[name])):.1f}", f"{_rms(delay_ps):.0f}",
                f"{100.0 * np.sqrt(record.element_error_var):.1f}",
                f"{100.0 * np.sqrt(record.element_left_var):.1f}",
            )
        )  # fmt: skip
    heads = (
        "node", "elements", "gain rms (dB)", "largest (dB)", "phase rms (°)", "largest (°)",
        "delay rms (ps)", "found off ideal (%)", "left unknown (%)",
    )  # fmt: skip
    return table(heads, rows, 1)


def node_table(facts: DictionaryFacts) -> Html:
    """A row a node: its time, powers and pose, how well they are known, and off the survey."""
    nodes, surveyed, rows = facts.nodes, _surveyed(facts), []
    if nodes is None:
        return table((), (), 0)
    for record, var in zip(nodes.nodes, errors_of(nodes).variances, strict=True):
        std = np.sqrt(np.maximum(var, 0.0))
        time_std_ns = 1e9 * float(std[TIME_M]) / SPEED_OF_LIGHT_M_PER_S
        moved_cm, turned_deg = _moved(surveyed.get(record.node_id), record)
        has_time = record.time_s is not None
        rows.append(
            (
                record.node_id,
                f"{1e9 * record.time_s:+.2f}" if record.time_s is not None else "none",
                f"{time_std_ns:.2f}" if has_time else "-",
                f"{record.power_db[0]:+.1f}", f"{record.power_db[1]:+.1f}",
                f"{record.noise_figure_db:.1f}",
                f"{record.position_m[0]:.3f}, {record.position_m[1]:.3f}",
                moved_cm,
                f"{100.0 * np.hypot(std[X_M], std[Y_M]):.1f}",
                f"{np.degrees(record.boresight_rad):.2f}",
                turned_deg,
                f"{np.degrees(std[BORESIGHT_RAD]):.2f}",
            )
        )  # fmt: skip
    heads = (
        "node", "time (ns)", "± (ns)", "power over nominal (dB)", "gain over nominal (dB)",
        "noise figure (dB)", "position found (m)", "off survey (cm)", "± (cm)",
        "boresight found (°)", "off survey (°)", "± (°)",
    )  # fmt: skip
    return table(heads, rows, 1)


def _surveyed(facts: DictionaryFacts) -> dict[str, EndGeometry]:
    """Where nodes stood as receivers by the survey, as their last entry has it."""
    entries = sorted(facts.entries.values(), key=lambda entry: entry.header.created)
    return {
        entry.header.learned_with.rx_id or "": entry.header.geometry.receiver
        for entry in entries
        if entry.header.geometry is not None
    }


def _moved(surveyed: EndGeometry | None, record: NodeRecord) -> tuple[str, str]:
    """How far position (cm) and boresight (degrees) were found off the survey."""
    if surveyed is None:
        return "-", "-"
    off_m = float(distance_m(surveyed.position_m, record.position_m))
    if surveyed.boresight_rad is None:
        return f"{100.0 * off_m:.1f}", "-"
    turned_rad = float(wrap_angle(record.boresight_rad - surveyed.boresight_rad))
    return f"{100.0 * off_m:.1f}", f"{np.degrees(turned_rad):+.2f}"


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
