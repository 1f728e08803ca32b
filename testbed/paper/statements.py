"""What section VI says of its figures, held against the numbers of both columns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from testbed.paper.cases import COLUMNS, Column
from testbed.paper.published import TABLE1_M
from testbed.paper.results import by_scheme
from testbed.paper.study import Reproduction

# From here on the paper's curve is flat.
_SATURATED = 6
_LOWER_PERCENTS, _UPPER_PERCENT = (25, 50), 95


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a column shows what the paper says, and by what number.

    Attributes
    ----------
    holds
        ``None`` where that cannot be told.
    of_best
        Whether it holds of the best 99 % of trials only.
    """

    said: str
    holds: bool | None
    of_best: bool = False


@dataclass(frozen=True)
class Statement:
    """One trend that the paper states.

    Attributes
    ----------
    text
        In our words.
    findings
        By column.
    notes
        Numbers of the notes that say why a column differs.
    """

    text: str
    findings: Mapping[Column, Finding]
    notes: tuple[int, ...]


_Judge = Callable[["_Numbers"], Finding]


class _Numbers:
    """Numbers of one column by name, with one kind of RMSE."""

    def __init__(self, found: Reproduction, column: Column, rmse: str) -> None:
        self._lines = {
            scheme: {point.num_symbols: point.value_m for point in line}
            for (own, scheme), line in by_scheme(found.points, rmse).items()
            if own == column
        }
        self.cells = {
            (cell.num_elements, cell.num_receivers, cell.percent): cell.value_m
            for cell in found.cells
            if cell.column == column
        }
        self.times_s = {
            (bar.num_elements, bar.num_receivers): (bar.sensing_s, bar.selection_s)
            for bar in found.runtimes
            if bar.evaluation == column
        }
        ends = {size: found.ending("table1", "proposed", column, *size) for size in TABLE1_M}
        self.loss_pct = {size: e.throughput_loss_pct for size, e in ends.items() if e is not None}
        self.proposed = found.ending("fig2", "proposed", column)
        self.clutter_free = found.ending("fig2", "clutter_free", column)

    def rmse_m(self, scheme: str, num_symbols: int) -> float:
        """Of figure 2."""
        return self._lines[scheme][num_symbols]

    def line_m(self, scheme: str) -> list[float]:
        """By number of symbols."""
        return [value for _, value in sorted(self._lines[scheme].items())]


def statements(found: Reproduction) -> Iterator[Statement]:
    """All that can be judged by the numbers that there are."""
    numbers = {column: _Numbers(found, column, "rmse") for column in COLUMNS}
    of_best = {column: _Numbers(found, column, "rmse_best_99") for column in COLUMNS}
    for asked, notes, text, judge in _STATEMENTS:
        if asked(found):
            findings = {
                column: _finding(judge, numbers[column], of_best[column]) for column in COLUMNS
            }
            yield Statement(text, findings, notes)


def _finding(judge: _Judge, numbers: _Numbers, of_best: _Numbers) -> Finding:
    """Of all trials; where it fails and only rare ones are to blame, that is said as well."""
    of_all, best = _judged(judge, numbers), _judged(judge, of_best)
    if of_all.holds is False and best.holds:
        return Finding(f"{best.said} (of all trials: {of_all.said})", True, of_best=True)
    return of_all


def _judged(judge: _Judge, numbers: _Numbers) -> Finding:
    try:
        return judge(numbers)
    except KeyError:  # a scheme or a time that is not there
        return Finding("not measured", None)


def _no_suppression(n: _Numbers) -> Finding:
    least = min(n.line_m("no_suppression"))
    return Finding(f"RMSE {least:.3g} m or more", least > 30.0)


def _clutter_free(n: _Numbers) -> Finding:
    if n.proposed is None or n.clutter_free is None:
        raise KeyError
    ratio = n.proposed.median_m / n.clutter_free.median_m
    return Finding(f"median {ratio:.3f} of clutter-free", ratio < 1.1)


def _falls(n: _Numbers) -> Finding:
    ratio = n.rmse_m("proposed", 1) / n.rmse_m("proposed", _SATURATED)
    return Finding(f"RMSE falls {ratio:,.0f} times from 1 to 6", ratio > 20.0)


def _saturates(n: _Numbers) -> Finding:
    ratio = n.rmse_m("proposed", 10) / n.rmse_m("proposed", _SATURATED)
    return Finding(f"RMSE at 10 over that at 6: {ratio:.2f}", ratio > 0.8)


def _begins_better(n: _Numbers) -> Finding:
    without, own = n.rmse_m("without_sfi", 1), n.rmse_m("proposed", 1)
    return Finding(f"first sensing {own:.3g} m, {without:.3g} m without", without > own)


def _ends_better(n: _Numbers) -> Finding:
    without, own = n.rmse_m("without_sfi", 10), n.rmse_m("proposed", 10)
    return Finding(f"at the end {own:.3g} m, {without:.3g} m without", without > 1.5 * own)


def _fis_above(n: _Numbers) -> Finding:
    first, *_, last = n.line_m("fis")
    ratio = n.rmse_m("fis", _SATURATED) / n.rmse_m("proposed", _SATURATED)
    said = f"from {first:.3g} to {last:.3g} m; {ratio:,.3g} times the proposed at 6"
    return Finding(said, last < first and ratio > 1.0)


def _rsa(n: _Numbers) -> Finding:
    rises = sum(after > before for before, after in pairwise(n.line_m("rsa")))
    above = n.rmse_m("rsa", 10) / n.rmse_m("proposed", 10)
    return Finding(
        f"rises {rises} times; ends at {above:.3g} times the proposed", rises > 0 and above > 1.0
    )


def _obs(n: _Numbers) -> Finding:
    ratio = n.rmse_m("proposed", _SATURATED) / n.rmse_m("obs", _SATURATED)
    return Finding(f"proposed over OBS at 6: {ratio:.2f}", ratio > 1.0)


def _elements(n: _Numbers) -> Finding:
    pairs = [(n.cells[4, r, p], n.cells[16, r, p]) for m, r in TABLE1_M if m == 4
             for p in TABLE1_M[m, r]]  # fmt: skip
    better = sum(many < few for few, many in pairs)
    return Finding(f"{better} of {len(pairs)} percentiles are lower", better == len(pairs))


def _upper_tail(n: _Numbers) -> Finding:
    lines = [[n.cells[m, r, _UPPER_PERCENT] for r in (1, 2, 3)] for m in (4, 16)]
    falls = sum(line[2] < line[0] for line in lines)
    shown = "; ".join(", ".join(f"{1e3 * v:.3g}" for v in line) for line in lines)
    return Finding(f"95 %, N_r 1 to 3, in mm: {shown}", falls == len(lines))


def _not_monotonic(n: _Numbers) -> Finding:
    lines = [[n.cells[m, r, p] for r in (1, 2, 3)] for m in (4, 16) for p in _LOWER_PERCENTS]
    rising = sum(any(after > before for before, after in pairwise(line)) for line in lines)
    return Finding(f"{rising} of {len(lines)} rows rise somewhere", rising > 0)


def _loss_by_elements(n: _Numbers) -> Finding:
    pairs = [(n.loss_pct[4, r], n.loss_pct[16, r]) for r in (1, 2, 3)]
    shown = ", ".join(f"{few:.2f} to {many:.2f}" for few, many in pairs)
    return Finding(f"{shown} %", all(many < few for few, many in pairs))


def _loss_by_receivers(n: _Numbers) -> Finding:
    lines = [[n.loss_pct[m, r] for r in (1, 2, 3)] for m in (4, 16)]
    shown = "; ".join(", ".join(f"{v:.2f}" for v in line) for line in lines)
    return Finding(f"{shown} %", all(line[2] > line[0] for line in lines))


def _below(n: _Numbers) -> Finding:
    most = max(n.loss_pct[size] for size in TABLE1_M)
    return Finding(f"at most {most:.2f} %", most < 3.5)


def _selection_grows(n: _Numbers) -> Finding:
    one, three = n.times_s[16, 1], n.times_s[16, 3]
    sensing, selection = three[0] / one[0], three[1] / one[1]
    said = f"N_r 1 to 3: sensing x {sensing:.2g}, selection x {selection:.2g}"
    return Finding(said, selection > 2.0 * sensing)


def _crossing(n: _Numbers) -> Finding:
    ratios = [sum(n.times_s[16, r]) / sum(n.times_s[4, r]) for r in (1, 2, 3)]
    shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    return Finding(f"M 16 over 4: {shown}", ratios[0] > 1.0 and ratios[2] < 1.0)


def _has_curves(found: Reproduction) -> bool:
    return bool(found.points)


def _has_cells(found: Reproduction) -> bool:
    return bool(found.cells)


def _has_times(found: Reproduction) -> bool:
    return bool(found.runtimes)


_STATEMENTS: Sequence[
    tuple[Callable[[Reproduction], bool], tuple[int, ...], str, _Judge]
] = (
    (_has_curves, (), "Without suppression nothing is ever found", _no_suppression),
    (_has_curves, (), "Suppression recovers clutter-free accuracy", _clutter_free),
    (_has_curves, (1, 2), "Six sensings lower the RMSE by nearly two orders of magnitude", _falls),
    (_has_curves, (2,), "The RMSE saturates after six", _saturates),
    (_has_curves, (3,), "SFI makes the first sensing better", _begins_better),
    (_has_curves, (3,), "Without SFI the error ends several times higher", _ends_better),
    (_has_curves, (4,), "FIS falls, but stays far above the proposed scheme", _fis_above),
    (_has_curves, (5,), "RSA is not monotonic, and ends above the proposed scheme", _rsa),
    (_has_curves, (6,), "OBS, which knows the target, is below the proposed scheme", _obs),
    (_has_cells, (), "More elements lower every percentile", _elements),
    (_has_cells, (7,), "More receivers lower the upper tail", _upper_tail),
    (_has_cells, (7,), "More receivers do not lower all lower percentiles", _not_monotonic),
    (_has_cells, (), "More elements converge sooner: a smaller throughput loss", _loss_by_elements),
    (_has_cells, (8,), "More receivers cost slightly more sensings", _loss_by_receivers),
    (_has_cells, (8,), "The throughput loss stays below 3.5 %", _below),
    (_has_times, (9,), "More receivers cost selection, and hardly sensing", _selection_grows),
    (_has_times, (9,), "M = 16 takes longer at N_r = 1, 2, and is faster at 3", _crossing),
)  # fmt: skip
