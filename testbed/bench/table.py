"""What the suite prints for people, a unit on every number, in a hundred columns."""

from collections.abc import Sequence

from rich.table import Table

from testbed.bench.case import Row
from testbed.bench.growth import Curve
from testbed.bench.machine import Rates


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
    return f"{value:.2g}" if value < 1.0 else f"{value:.3g}"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g} x"


def _limited(value: str, limit: str, mark: str) -> str:
    return value if limit == "-" else f"{value} ({mark} {limit})"


def results_table(rows: Sequence[Row]) -> Table:
    """A row a case; limits in brackets."""
    table = Table(title="Median times; limits in brackets", title_justify="left")
    table.add_column("work", min_width=14)
    for name in ("time", "literal", "ratio", "error", "peak memory", "floor"):
        table.add_column(name, justify="right")
    table.add_column("met")
    for row in rows:
        limited = (row.limit_s, row.ratio_limit, row.error_limit) != (None, None, None)
        table.add_row(
            row.name,
            _limited(seconds(row.time_s), seconds(row.limit_s), "≤"),
            seconds(row.literal_s),
            _limited(_times(row.ratio), _times(row.ratio_limit), "≥"),
            _limited(_number(row.error), _number(row.error_limit), "≤"),
            bytes_text(row.peak_memory_bytes),
            seconds(row.floor_s),
            ("yes" if row.met else "no") if limited else "-",
        )
    return table


def notes(rows: Sequence[Row]) -> list[str]:
    """What the errors and floors of the rows mean, a line a row."""
    lines = []
    for row in rows:
        parts = [row.work]
        if row.error is not None:
            parts.append(f"error: {row.error_is}")
        if row.floor_s is not None:
            parts.append(f"floor: {row.floor_is}")
        lines.append(f"{row.name}: {'; '.join(parts)}")
    return lines


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
    table = Table(title="Growth: exponents, measured and expected", title_justify="left")
    table.add_column("work")
    table.add_column("against")
    for name in ("from", "to", "time from", "time to", "time", "memory", "mathematics"):
        table.add_column(name, justify="right")
    for curve in curves:
        memory = curve.memory_exponent
        table.add_row(
            curve.work, curve.against, f"{curve.sizes[0]}", f"{curve.sizes[-1]}",
            seconds(curve.time_s[0]), seconds(curve.time_s[-1]), f"{curve.time_exponent:.2f}",
            "-" if memory is None else f"{memory:.2f}", f"{curve.expected_exponent:g}",
        )  # fmt: skip
    return table
