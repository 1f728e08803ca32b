"""The report of a dictionary as one HTML page, figures within, that opens from disk and prints."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from calibration.dictionary_entry import LearnedWith
from calibration.entry_checks import EntryCheck, Link
from testbed.figures.coverage import coverage_figure
from testbed.figures.elements import elements_figure
from testbed.figures.entry_noise import noise_figure, stability_figure
from testbed.figures.svg import svg_of
from testbed.report.facts import natural_order
from testbed.report.html import Html, joined, table, tag, whole_page
from testbed.report.node_tables import array_table, elements_of, node_table
from testbed.report.report import Origin, Report
from testbed.report.suspicions import CRITERIA

# Rows of a table, and links of a list: who has more has one reason for all of them.
_MOST_ROWS, _MOST_LINKS = 200, 400


def page_of(report: Report) -> str:
    """The whole page; the same of the same dictionary."""
    title = f"Calibration of {report.facts.name}"
    return whole_page(
        title,
        tag("p", report.verdict, class_="verdict"),
        _origin(report),
        *_coverage(report),
        *_suspicious(report),
        *_without_absolute_delay(report),
        *_noise(report),
        *_stability(report),
        *_arrays(report),
        *_nodes(report),
    )


def _origin(report: Report) -> Html:
    facts = report.facts
    headers = [entry.header for entry in facts.entries.values()]
    ends = [header.learned_with for header in headers]
    created = sorted(header.created for header in headers)
    said = facts.manifest.provenance
    rows = [
        ("origin", said.origin),
        ("waveform", f"{_waveform(report)}; hash {said.waveform_hash}"),
        ("captures", f"{said.num_captures} an entry"),
        ("entries", f"{len(headers):,}, of {len(facts.locations)} locations"),
        ("learned", f"{_minute(created[0])} to {_minute(created[-1])} UTC" if created else "never"),
        ("hosts", _listed(header.host for header in headers)),
        ("software", _listed(header.software for header in headers)),
        ("radios", _listed(_radios(ends))),
        ("schema", f"{facts.manifest.schema}, made {_minute(facts.manifest.created)} UTC"),
    ]  # fmt: skip
    notes = [("cannot be read", note) for note in facts.notes]
    return tag("div", table((), (*rows, *notes), 2), class_="facts")


def _waveform(report: Report) -> str:
    found = set()
    for entry in report.facts.entries.values():
        header, ends = entry.header, entry.header.learned_with
        if ends.carrier_hz is not None and ends.subcarrier_spacing_hz is not None:
            found.add(
                f"{ends.carrier_hz / 1e6:,.6g} MHz carrier, {header.shape[0]} tones of "
                f"{ends.subcarrier_spacing_hz / 1e3:g} kHz"
            )
    return _listed(found)


def _radios(ends: Iterable[LearnedWith]) -> Iterator[str]:
    for end in ends:
        for radio in (end.tx_radio, end.rx_radio):
            yield "simulated, or not known" if radio is None else f"{radio.kind} {radio.serial}"


def _minute(created: str) -> str:
    return created[:16].replace("T", " ")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names))) or "none"


def _coverage(report: Report) -> Iterator[Html]:
    yield tag("h2", "Coverage")
    if not report.facts.locations:
        yield tag("p", "There is no entry yet.")
        return
    yield tag(
        "p",
        "Each square is one entry. The darker it is, the less its power is over the noise of one "
        "capture. Marks say what is missing, or not as it should be.",
    )
    yield Html(svg_of(coverage_figure(report), "coverage"))
    if report.facts.missing:
        yield tag("p", tag("b", "Missing: "), *_links(report.facts.missing))
    if report.facts.damaged:
        reasons = (tag("li", found.reason) for found in report.facts.damaged)
        yield joined((tag("p", tag("b", "Damaged:")), tag("ul", *reasons)))


def _suspicious(report: Report) -> Iterator[Html]:
    yield tag("h2", "Suspicious links")
    facts = report.facts
    rows = [
        (*entry.link, state, _checked(entry.check))
        for state in ("stale", "drifting")
        for entry in facts.in_state(state)
        if entry.check is not None
    ]
    rows += [(*found.link, found.kind, found.said) for found in report.suspicions]
    if rows:
        yield _limited(("from", "to", "what", "found"), rows)
    else:
        yield tag("p", "None.")
    for name, weak in report.weak_elements.items():
        elements = ", ".join(f"element {n} by {-value:.1f} dB" for n, value in weak.items())
        yield tag("p", f"Weaker than its other elements in all entries of the receiver at {name}: "
                       f"{elements}.")  # fmt: skip
    if facts.nodes is None:
        yield tag(
            "p",
            "Nodes were not sounded, so that nothing is known of where they stand: entries are "
            "judged by noise and elements only, direct paths are not.",
        )
    yield tag("p", "What is looked at:")
    yield tag(
        "ul",
        *(tag("li", tag("b", kind), ": ", meaning) for kind, meaning in CRITERIA.items()),
    )


def _checked(check: EntryCheck) -> str:
    said = f"changed in {check.num_changed} of {check.num_captures} captures"
    if check.change_snr_db is not None:
        where = "beside the direct path"
        if check.change_range_m is not None:
            where = f"at {check.change_range_m:.1f} m"
        said += f", by {check.change_snr_db:.1f} dB {where}"
    if check.noise_db is not None:
        said += f"; noise {check.noise_db:+.1f} dB over expected"
    reason = f"; {check.reason}" if check.reason else ""
    return f"{said}{reason}; checked {_minute(check.checked)} UTC"


def _without_absolute_delay(report: Report) -> Iterator[Html]:
    yield tag("h2", "Links without absolute delay")
    found = report.without_common_time
    if not found:
        yield tag("p", "None: delays of all entries count from transmission, by common time.")
        return
    yield tag("p", f"{len(found):,} links were learned without common time of their radios.")
    by: dict[Origin, list[Link]] = defaultdict(list)
    for link, origin in found.items():
        by[origin].append(link)
    meaning: dict[Origin, str] = {
        "direct path": "Their delays count from their direct path instead, which stands out: ",
        "nothing": "No usable direct path either, so that they give angles only: ",
        "not known": "Whether a direct path stands out is not known, as nodes were not sounded: ",
    }
    for origin, text in meaning.items():
        if by[origin]:
            yield tag("p", tag("b", f"{len(by[origin]):,} links. "), text, *_links(by[origin]))


def _noise(report: Report) -> Iterator[Html]:
    yield tag("h2", "Noise")
    noise = report.noise
    if not noise.excess_db:
        yield tag("p", "No entry says what noise its captures had.")
        return
    base = "the calibrated link budget" if noise.is_budgeted else "a level alike for all"
    share = noise.power_share_db
    grows = f", and {share:.0f} dB of the entry's power" if share is not None else ""
    yield tag(
        "p",
        f"Median noise of an entry's captures. Expected is {base}{grows}, at the median level of "
        f"each receiver. Entries are off that by {noise.std_db:.2f} dB (robust standard "
        f"deviation); suspicious is more than {noise.threshold_db:.1f} dB.",
    )
    yield Html(svg_of(noise_figure(report), "noise"))
    if noise.noisy_receivers:
        found = (f"at {name} by {db:.1f} dB" for name, db in noise.noisy_receivers.items())
        yield tag("p", tag("b", "Noisy in all entries: "), f"the receivers {', '.join(found)}.")


def _stability(report: Report) -> Iterator[Html]:
    yield tag("h2", "Stability")
    checked = [entry for entry in report.facts.entries.values() if entry.check is not None]
    if not checked:
        yield tag("p", "No entry was checked since it was learned: testbed dictionary check.")
        return
    changed = sum(entry.state != "valid" for entry in checked)
    yield tag(
        "p", f"{len(checked):,} entries were checked since they were learned; {changed:,} of them "
        "are stale or drifting.",
    )  # fmt: skip
    yield Html(svg_of(stability_figure(report), "stability"))


def _arrays(report: Report) -> Iterator[Html]:
    yield tag("h2", "Arrays")
    facts = report.facts
    gain_db, phase_deg = ({}, {}) if facts.nodes is None else elements_of(facts.nodes)
    if not gain_db and not facts.element_db:
        yield tag("p", "All receivers have a single antenna: there is nothing to compare.")
        return
    if gain_db and facts.nodes is not None:
        yield tag("p", "Gain and phase of each element over those of an ideal array, as found.")
        yield Html(svg_of(elements_figure(gain_db, phase_deg), "elements"))
        yield tag("div", array_table(facts.nodes), class_="wide")
        return
    yield tag(
        "p",
        "Nodes were not sounded. Shown is the power of each element over the median one, as the "
        "receiver's entries have it (median over entries), by location; phases are not known.",
    )
    yield Html(svg_of(elements_figure(facts.element_db, {}), "elements"))


def _nodes(report: Report) -> Iterator[Html]:
    yield tag("h2", "Times, powers and poses of nodes")
    if report.facts.nodes is None:
        yield tag("p", "Not known: nodes were not sounded, as radios at pilot fidelity are not.")
        return
    yield tag(
        "p", "As found by the last campaign, with standard deviations of what is left unknown.",
    )  # fmt: skip
    yield tag("div", node_table(report.facts), class_="wide")


def _limited(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Html:
    found = tag("div", table(heads, rows[:_MOST_ROWS], len(heads)), class_="wide")
    more = len(rows) - _MOST_ROWS
    return joined((found, tag("p", f"And {more:,} more."))) if more > 0 else found


def _links(links: Iterable[Link]) -> Iterator[str]:
    """Links by their end of fewer names, so that those of a node that is dead read as one."""
    found = sorted(links, key=lambda link: [natural_order(end) for end in link])
    by_tx = len({tx for tx, _ in found}) < len({rx for _, rx in found})
    ends: dict[str, list[str]] = defaultdict(list)
    for tx, rx in found[:_MOST_LINKS]:
        ends[tx if by_tx else rx].append(rx if by_tx else tx)
    here, there = ("from", "to") if by_tx else ("to", "from")
    names = sorted(ends, key=natural_order)
    yield "; ".join(f"{here} {name} {there} {', '.join(ends[name])}" for name in names)
    if len(found) > _MOST_LINKS:
        yield f"; and {len(found) - _MOST_LINKS:,} more"
    yield "."
