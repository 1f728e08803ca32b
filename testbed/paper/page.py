"""The page of the paper's study: published, to the letter, ours and the bounds, side by side."""

from collections.abc import Iterator, Mapping, Sequence

from testbed.paper.notes import NOTES
from testbed.paper.page_tables import (
    fig2_table,
    loss_table,
    runtime_table,
    statement_table,
    table1,
    worth_table,
)
from testbed.paper.published import FIG2_RMSE_M
from testbed.paper.statements import Statement, statements
from testbed.paper.study import Reproduction, tables_of
from testbed.report.html import Html, table, tag, whole_page
from testbed.runs.policies import PROPOSED
from testbed.units import metres

_METHOD = (
    "A hall of 200 x 200 m holds forty radio nodes, each with an array of antennas, thirty "
    "other scatterers, and one target whose place is asked for. In a sensing one node sends a "
    "known OFDM symbol and one or a few others listen. What the empty hall sounds like on their "
    "links was learned before and is subtracted; of what is left a receiver forms a map over "
    "delay and angle, detects peaks, and reports their delay, angle and variances. A fusion "
    "centre estimates the position from the reports, predicts for every choice of sender and "
    "listeners how small the position error bound (PEB) would become, and lets the best ones "
    "sense next."
)
_COLUMNS = (
    "Two columns throughout. To the letter: the latest sensing alone counts, the first receivers "
    "are those that cover most of the hall (SFI), the loop stops when a configuration repeats. "
    "Ours: all sensings are fused in a belief over position and radar cross-section that misses "
    "update as well, it says where to look while nothing is found, nodes are chosen by what they "
    "will probably detect, and the loop stops when the 95 % radius is what was asked for. Links, "
    "scenes and noise are the same in both."
)
_BOUNDS = (
    "Bounds. Conditional: what the looks that were taken could have given, for the cross-sections "
    "that they saw. Oracle: the same number of looks, chosen by who knows the truth, with the "
    "cross-sections that these would have seen. An efficient estimator is at the first; the way "
    "from there to the second is what finding the target costs."
)


def page_of(found: Reproduction, verdict: str, figures: Mapping[str, str]) -> str:
    """The whole page.

    Parameters
    ----------
    verdict
        The one sentence to take home.
    figures
        SVG by name of file.
    """
    judged = list(statements(found))
    return whole_page(
        "Cooperative multi-static localization: the paper, reproduced and bettered",
        tag("p", verdict, class_="verdict"),
        *(tag("p", text) for text in (_METHOD, _COLUMNS, _BOUNDS)),
        *_fig2(found, figures),
        *_table1(found, figures),
        *_statements(judged),
        *_loss(found),
        *_fig3(found, figures),
        *_worth(found, figures),
        *_notes(),
        *_origin(found),
    )


def _figure(figures: Mapping[str, str], name: str) -> Iterator[Html]:
    if name in figures:
        files = (tag("a", f"{name}.{kind}", href=f"{name}.{kind}") for kind in ("png", "svg"))
        yield Html(figures[name])
        yield tag("p", Html(", ".join(files)), class_="files")


def _wide(rows: Html) -> Html:
    return tag("div", rows, class_="wide")


def _fig2(found: Reproduction, figures: Mapping[str, str]) -> Iterator[Html]:
    if not found.points:
        return
    yield tag("h2", "Accuracy over the budget (the paper's figure 2): 32 elements, one receiver")
    yield tag(
        "p",
        "RMSE with its 90 % band; crosses are what the paper's text says of its curves. Below, the "
        "same without the worst hundredth of the trials, which makes the RMSE where a scheme fails "
        "at all (note 2); and medians, with the bounds. Bounds are of RMSEs: half of the errors "
        "are smaller than 0.7 to 0.8 of theirs.",
    )
    yield from _figure(figures, "fig2_rmse")
    yield from _figure(figures, "fig2_rmse_best_99")
    yield from _figure(figures, "fig2_median")
    yield _wide(fig2_table(found))


def _table1(found: Reproduction, figures: Mapping[str, str]) -> Iterator[Html]:
    if not found.cells:
        return
    yield tag("h2", "Percentiles at convergence (the paper's Table I)")
    yield tag(
        "p",
        "Error in millimetres with its 90 % band. The oracle's errors are drawn from the "
        "covariance that its looks allow: no estimator has smaller ones on average.",
    )
    yield from _figure(figures, "table1")
    yield _wide(table1(found))


def _statements(judged: Sequence[Statement]) -> Iterator[Html]:
    if judged:
        yield tag("h2", "What the paper concludes, and what is seen here")
        yield _wide(statement_table(judged))


def _loss(found: Reproduction) -> Iterator[Html]:
    if found.cells:
        yield tag("h2", "Throughput loss")
        yield tag(
            "p", "Share of a frame's 140 symbols that sensing takes, and sensings on average."
        )
        yield _wide(loss_table(found))


def _fig3(found: Reproduction, figures: Mapping[str, str]) -> Iterator[Html]:
    if found.runtimes:
        yield tag("h2", "Runtime until convergence (the paper's figure 3)")
        yield tag("p", "Milliseconds on one core of the machine that made this page (note 9).")
        yield from _figure(figures, "fig3_runtimes")
        yield _wide(runtime_table(found))


def _worth(found: Reproduction, figures: Mapping[str, str]) -> Iterator[Html]:
    if found.ending("worth", "all", "ours") is None:
        return
    yield tag("h2", "What is new, and what it is worth: 4 elements, one receiver")
    yield tag(
        "p",
        "Four things that the paper does not have, alone and together, where echoes are weakest: "
        "accumulation (all sensings are fused, not the latest), recovery (while nothing is found, "
        "the belief says where to look, not chance), stopping by the stated 95 % radius (not when "
        "a configuration repeats), and visible nodes (chosen by the bound averaged over where the "
        "target may be, weighted by the probability of detection, not by (19) as it is written).",
    )
    yield from _figure(figures, "worth")
    yield _wide(worth_table(found))


def _notes() -> Iterator[Html]:
    yield tag("h2", "Notes: where the columns differ from the paper, and why")
    yield tag("ol", *(tag("li", text, id=f"note-{number}") for number, text in NOTES.items()))


def _origin(found: Reproduction) -> Iterator[Html]:
    yield tag("h2", "How this page was made")
    rows = [
        ("command", found.command),
        ("trials", f"{found.trials:,} of each case, seed {found.seed}"),
        ("took", f"{found.elapsed_s / 60.0:.1f} min for {_total(found):,} trials"),
        ("software", ", ".join(f"{name} {said}" for name, said in found.software.items())),
        ("data", ", ".join(tables_of(found))),
    ]
    yield tag("div", table((), rows, 2), class_="facts")


def _total(found: Reproduction) -> int:
    return sum(end.trials for end in found.endings)


def verdict_of(found: Reproduction) -> str:
    """What the proposed scheme reaches, in a sentence."""
    ours = found.ending("fig2", PROPOSED, "ours") or found.ending("table1", PROPOSED, "ours")
    if ours is None:
        return f"{_total(found):,} trials"
    published = min(FIG2_RMSE_M[PROPOSED].values()) if ours.part == "fig2" else None
    against = "" if published is None else f"; the paper states {published:g} m"
    over = "" if ours.rmse_over_bound is None else f", {ours.rmse_over_bound:.2f} of the bound"
    return (
        f"{ours.num_elements} elements, N_r = {ours.num_receivers}: RMSE {metres(ours.rmse_m)}"
        f"{over}, median {metres(ours.median_m)}, after {ours.num_sensings:.1f} sensings on "
        f"average, {100.0 * ours.unresolved:.1f} % not found{against}"
    )
