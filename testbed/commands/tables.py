"""What the commands print for people: tables and verdicts, a unit on every number."""

from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from fusion.sensing import CHI2_95
from testbed.runs.localize import Scene, SensingRecord, throughput_loss_pct
from testbed.site import Site
from testbed.units import metres

# Time left is told from this much of the past: one step of a campaign may take minutes.
_SPEED_OF_S = 3600.0


def screen() -> Console:
    """Standard output for tables; what a site calls itself and its nodes is shown as it is."""
    return Console(markup=False, emoji=False, highlight=False)


def progress_bar() -> Progress:
    """A bar on standard error for a counted task, with the time it took and the time left."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("elapsed"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
        console=Console(stderr=True), speed_estimate_period=_SPEED_OF_S,
    )  # fmt: skip


def decibels(value: float | None) -> str:
    """A ratio for people; a dash for ``None``."""
    return "-" if value is None else f"{value:.1f} dB"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def sensing_table(site: Site, records: Sequence[SensingRecord]) -> Table:
    """A row a sensing."""
    table = Table(title=f"{site.name}: {_count(len(records), 'sensing')}", title_justify="left")
    table.add_column("#")
    table.add_column("tx", overflow="fold", min_width=4)
    table.add_column("rx", overflow="fold", min_width=4)
    for name in ("SNR", "x", "y", "PEB", "error"):
        table.add_column(name, justify="right", no_wrap=True)
    for number, record in enumerate(records, start=1):
        x, y = record.estimate.position_m
        table.add_row(
            str(number),
            record.config.tx_id,
            "\n".join(record.config.rx_ids),
            "\n".join(_detected(record)),
            *((f"{x:.3f} m", f"{y:.3f} m") if record.estimate.probability > 0.0 else ("-", "-")),
            metres(record.estimate.peb_m),
            metres(record.error_m),
        )
    return table


def _detected(record: SensingRecord) -> list[str]:
    """Strongest detection of each receiver, and how many more there were."""
    texts = dict.fromkeys(record.config.rx_ids, "no capture")
    for report in record.reports:
        if not report.hypotheses:
            texts[report.rx_id] = "nothing"
            continue
        more = len(report.hypotheses) - 1
        texts[report.rx_id] = f"{10.0 * np.log10(report.hypotheses[0].snr):.1f} dB" + (
            f" (+{more})" if more else ""
        )
    return list(texts.values())


def verdict(site: Site, records: Sequence[SensingRecord], scene: Scene) -> str:
    """The final position with its 95 % ellipse, and what it cost."""
    last = records[-1].estimate
    values, vectors = np.linalg.eigh(last.covariance_m2)
    major, minor = np.sqrt(CHI2_95 * values[::-1])
    direction_deg = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])) % 180.0
    x, y = last.position_m
    lines = [
        f"{last.status}: x = {x:.4f} m, y = {y:.4f} m",
        (
            f"95 % ellipse: semi-axes {metres(major)} and {metres(minor)}, major axis at "
            f"{direction_deg:.0f} degrees from x"
        ),
        (
            f"sensings: {len(records)}, {throughput_loss_pct(site, len(records)):.2f} % of a "
            f"frame's symbols"
        ),
    ]
    if scene.target_m is not None:
        tx, ty = scene.target_m
        lines.append(f"truth: x = {tx:.4f} m, y = {ty:.4f} m, error {metres(records[-1].error_m)}")
    lines += [
        f"sensing {number}: no capture from {rx_id}: {problem}"
        for number, record in enumerate(records, start=1)
        for rx_id, problem in record.problems.items()
    ]
    if last.status == "unresolved":
        lines.append(
            f"the position above has probability {last.probability:.3g}; its 95 % radius stayed "
            f"above tolerance_m ({site.sensing.tolerance_m:g} m) or another position remained "
            f"possible: allow more sensings (--max-sensings) or receivers (--num-receivers)"
        )
    return "\n".join(lines)
