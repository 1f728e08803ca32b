"""Errors of arrays and clocks, estimated from direct paths in noise, over their Cramér–Rao bounds.

    python -m tests.paper.array_calibration --draws 100

prints the full tables; `tests/contract/test_array_and_timing_bounds.py` runs the same functions
with fewer draws. Phases are off by up to 180 degrees, gains by 3 dB, delays by 2 ns an element,
boresights by 2 degrees and spacings by 1 % (standard deviations), clocks by up to 100 ns. Six
transmitters within 60 degrees of boresight sound the array; five nodes of one element sound each
other. There is no clutter.
"""

import math
from functools import partial

import click

from tests.contract.embedded_arrays import GRIDS, Bench
from tests.contract.embedded_times import Network
from tests.contract.embedding import Accuracy, accuracies
from tests.paper.link_statistics import bootstrap_interval

SNRS_DB = (10.0, 20.0, 30.0)
_NEPER_DB = 20.0 / math.log(10.0)
# Title, and factor from the error's own unit.
_COLUMNS = {
    "phase": ("phase, degrees", math.degrees(1.0)),
    "gain": ("gain, dB", _NEPER_DB),
    "delay": ("delay, ps", 1e12),
    "boresight": ("boresight, degrees", math.degrees(1.0)),
    "spacing": ("spacing, %", 100.0),
    "time": ("time, ps", 1e12),
}


def _bench(bandwidth_mhz: int, num_elements: int, snr_db: float, seed: int) -> Bench:
    return Bench(
        seed, GRIDS[bandwidth_mhz], num_elements, snr_db, boresight_std_rad=math.radians(2.0),
        spacing_std=0.01,
    )  # fmt: skip


def _network(bandwidth_mhz: int, snr_db: float, seed: int) -> Network:
    return Network(seed, GRIDS[bandwidth_mhz], 5, snr_db, num_elements=1)


def _cell(kind: str, accuracy: Accuracy) -> str:
    low, high = (math.sqrt(end) for end in bootstrap_interval(accuracy.squared_ratio))
    value = accuracy.rmse * _COLUMNS[kind][1]
    return f"{value:8.4f} {accuracy.ratio:5.2f} [{low:4.2f}, {high:4.2f}]"


@click.command()
@click.option("--draws", default=100, show_default=True, help="For every bandwidth and SNR.")
@click.option("--elements", default=8, show_default=True, type=click.IntRange(min=2))
@click.option("--first-seed", default=0, show_default=True)
def main(draws: int, elements: int, first_seed: int) -> None:
    """Print errors, and their ratios to the bound with 95 % intervals."""
    click.echo(f"{elements} elements, {draws} draws; RMSE, and over the bound")
    titles = [f"{title:>27}" for title, _ in _COLUMNS.values()]
    click.echo("  ".join(["MHz", "SNR dB", *titles]))
    seeds = range(first_seed, first_seed + draws)
    for bandwidth_mhz in GRIDS:
        for snr_db in SNRS_DB:
            found = accuracies(partial(_bench, bandwidth_mhz, elements, snr_db), seeds)
            found |= accuracies(partial(_network, bandwidth_mhz, snr_db), seeds)
            cells = [f"{_cell(kind, found[kind]):>27}" for kind in _COLUMNS]
            click.echo("  ".join([f"{bandwidth_mhz:3d}", f"{snr_db:6.0f}", *cells]))


if __name__ == "__main__":
    main()
