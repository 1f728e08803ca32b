"""What the suite prints for people, a unit on every number, in a hundred columns."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from testbed.bench.case import Row
from testbed.bench.growth import Curve
from testbed.bench.machine import Rates, machine_info


def seconds(value: float | None) -> str:
    """A time in the unit that suits it; a dash for ``None``."""
    if value is None:
        return "-"
    for unit, per_s in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if value * per_s >= 1.0:
            return f"{value * per_s:.3g} {unit}"
    return f"{value * 1e6:.2g} µs"


def bytes_text(value: int | None) -> str:
    """An amount of memory in the unit that suits it; a dash for ``None``."""
    if value is None:
        return "-"
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value} B"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2g}" if value < 0.01 else f"{value:.3g}"


def _times(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f} x" if value >= 10.0 else f"{value:.1f} x"


def _plain_table(title: str, texts: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    for name in texts:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def results_table(rows: Sequence[Row]) -> Table:
    """A row a case; each limit stands behind what it holds for."""
    numbers = (
        "time", "limit", "literal", "ratio", "limit", "error", "limit", "memory", "floor", "met",
    )  # fmt: skip
    table = _plain_table("The work of a sensing, one thread", ("work",), numbers)
    for row in rows:
        table.add_row(
            row.name,
            seconds(row.time_s), _least(seconds(row.limit_s), "≤"), seconds(row.literal_s),
            _times(row.ratio), _least(_times(row.ratio_limit), "≥"),
            _number(row.error), _least(_number(row.error_limit), "≤"),
            bytes_text(row.peak_memory_bytes), seconds(row.floor_s), "yes" if row.met else "no",
        )  # fmt: skip
    return table


def _least(limit: str, mark: str) -> str:
    return "" if limit == "-" else f"{mark}{limit}"


def notes(rows: Sequence[Row]) -> list[str]:
    """What the work is, and what errors and floors mean; a line for each meaning."""
    lines = [f"{row.name}: {row.work}" for row in rows]
    for kind, meaning_of in (
        ("error", {row.name: row.error_is for row in rows if row.error is not None}),
        ("floor", {row.name: row.floor_is for row in rows if row.floor_s is not None}),
    ):
        for meaning in dict.fromkeys(meaning_of.values()):
            names = ", ".join(name for name, own in meaning_of.items() if own == meaning)
            lines.append(f"{kind} ({names}): {meaning}")
    return lines


def machine_text() -> str:
    """Processor, cores and versions."""
    return "; ".join(f"{name} {value}" for name, value in machine_info().items())


def rates_text(rates: Rates) -> str:
    """The measured rates that floors are made of."""
    return (
        f"rates of one thread: copies {rates.memory_bytes_per_s / 1e9:.1f} GB/s beyond the caches, "
        f"{rates.cache_bytes_per_s / 1e9:.1f} GB/s in cache; complex64 products "
        f"{rates.product_flop_per_s / 1e9:.1f} Gflop/s, FFTs {rates.fft_flop_per_s / 1e9:.1f} "
        f"Gflop/s; {rates.normals_per_s / 1e6:.0f} million Gaussian numbers per second"
    )


def summary(rows: Sequence[Row]) -> str:
    """How many are met, and which are not."""
    missed = [row.name for row in rows if not row.met]
    text = f"{len(rows) - len(missed)} of {len(rows)} met"
    return f"{text}; not met: {', '.join(missed)}" if missed else text


def growth_table(curves: Sequence[Curve]) -> Table:
    """A row a curve; exponents of a straight line through logarithms."""
    numbers = ("from", "to", "time from", "time to", "time", "memory", "mathematics")
    title = "Growth: exponents of time and memory, and that of the mathematics"
    table = _plain_table(title, ("work", "against"), numbers)
    for curve in curves:
        memory = curve.memory_exponent
        table.add_row(
            curve.work, curve.against, f"{curve.sizes[0]}", f"{curve.sizes[-1]}",
            seconds(curve.time_s[0]), seconds(curve.time_s[-1]), f"{curve.time_exponent:.2f}",
            "-" if memory is None else f"{memory:.2f}", f"{curve.expected_exponent:.3g}",
        )  # fmt: skip
    return table
