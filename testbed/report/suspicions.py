"""What is suspicious about a dictionary's entries: criteria that physics gives, with thresholds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from calibration.entry_checks import Link
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S
from testbed.report.facts import DictionaryFacts, EntryFacts, relative_db
from testbed.report.noise import NoiseFacts
from testbed.report.paths import PathFound

# An element this much weaker than the receiver's other entries have it is not heard any more;
# fading takes so much from one of several elements, over a wide band, next to never.
WEAK_ELEMENT_DB = -10.0
# A direct path that lost nine tenths of its power is hidden, or the antenna's cable is off.
WEAK_PATH_DB = -10.0
# Links at wider angles, at both ends, that a direct path's level is compared with.
_FEWEST_WIDER, _MOST_WIDER = 3, 9
# Poses are known to less than this: at the edge of a view, nobody knows which side a link is on.
_LEAST_WIDER_RAD = np.deg2rad(2.0)
# Found over stated standard deviations. Scatterers beside a path pull with heavy tails.
NUM_STD = 5.0
# Errors of position that matter: the length of a leg, and about as much at a distance of 5 m.
LEAST_RANGE_M = 0.3
LEAST_SINE = 0.1


@dataclass(frozen=True)
class Suspicion:
    """One thing about one entry that is not as it should be.

    Attributes
    ----------
    kind
        Which criterion; see `CRITERIA`.
    said
        Value, what it is compared with, and units.
    """

    link: Link
    kind: str
    said: str


CRITERIA: Mapping[str, str] = {
    "noise": (
        "The noise of one capture is over what the link budget and the received power make "
        "expected: something moved while it was learned, or there was interference."
    ),
    "element": (
        f"An element is at least {-WEAK_ELEMENT_DB:g} dB weaker, against the entry's other "
        "elements, than in the receiver's other entries: a cable, a switch or a channel was off."
    ),
    "weak path": (
        f"The direct path is at least {-WEAK_PATH_DB:g} dB weaker than the median of up to "
        f"{_MOST_WIDER} links whose directions lie further from both antennas' boresights, where "
        "antennas are no better: something stands in it, or the transmitter was weak."
    ),
    "length": (
        f"Direct paths there and back are alike, but longer or shorter than the locations say, by "
        f"more than {NUM_STD:g} standard deviations and {LEAST_RANGE_M:g} m: a location is wrong."
    ),
    "reciprocity": (
        f"Direct paths there and back differ in length by more than {NUM_STD:g} standard "
        f"deviations and {LEAST_RANGE_M:g} m, the nodes' times taken off: one entry is of other "
        "times, or of another place."
    ),
    "direction": (
        f"The direct path comes from another direction than the locations say, by more than "
        f"{NUM_STD:g} standard deviations and {LEAST_SINE:g} in the sine: a location or boresight "
        "is wrong."
    ),
}


def suspicions_of(facts: DictionaryFacts, noise: NoiseFacts) -> tuple[Suspicion, ...]:
    """All suspicions, by criterion and link."""
    found = (
        *_noisy(noise), *_weak_elements(facts), *_weak_paths(facts), *_wrong_lengths(facts),
        *_wrong_directions(facts),
    )  # fmt: skip
    order = list(CRITERIA)
    return tuple(sorted(found, key=lambda one: (order.index(one.kind), one.link)))


def has_direct_path(entry: EntryFacts) -> bool:
    """Whether an entry's path stands out as a direct one of antennas that have each other in view.

    Out of view, the strongest path is some scatterer, which is weaker than that.
    """
    return entry.path is not None and entry.path.level_db > WEAK_PATH_DB


def _noisy(noise: NoiseFacts) -> Iterator[Suspicion]:
    for link, excess_db in noise.excess_db.items():
        if excess_db > noise.threshold_db:
            said = f"noise {excess_db:.1f} dB over expected; threshold {noise.threshold_db:.1f} dB"
            yield Suspicion(link, "noise", said)


def _weak_elements(facts: DictionaryFacts) -> Iterator[Suspicion]:
    for name, usual_db in facts.element_db.items():
        for entry in facts.of_receiver[name]:
            if len(entry.element_power) != len(usual_db):
                continue
            weaker_db = relative_db(entry.element_power) - usual_db
            weakest = int(np.argmin(weaker_db))
            if weaker_db[weakest] < WEAK_ELEMENT_DB:
                said = (
                    f"element {weakest} is {-weaker_db[weakest]:.1f} dB weaker than in the "
                    f"receiver's other entries; threshold {-WEAK_ELEMENT_DB:g} dB"
                )
                yield Suspicion(entry.link, "element", said)


def _weak_paths(facts: DictionaryFacts) -> Iterator[Suspicion]:
    paths = {link: entry.path for link, entry in facts.entries.items() if entry.path is not None}
    for link, path in paths.items():
        usual_db = _usual_level_db(path, [other for at, other in paths.items() if at != link])
        if usual_db is None or usual_db < WEAK_PATH_DB:
            continue  # wider angles may be out of view: nothing to compare with
        if path.level_db - usual_db < WEAK_PATH_DB:
            said = (
                f"direct path {path.level_db:.1f} dB over Friis' law, {usual_db:.1f} dB at wider "
                f"angles; threshold {WEAK_PATH_DB:g} dB below"
            )
            yield Suspicion(link, "weak path", said)


def _usual_level_db(path: PathFound, others: list[PathFound]) -> float | None:
    """Median level of links whose angles are wider at both ends, those of least wider ones."""
    wider = []
    for other in others:
        more_rx = abs(other.rx_angle_rad) - abs(path.rx_angle_rad)
        more_tx = abs(other.tx_angle_rad) - abs(path.tx_angle_rad)
        if min(more_rx, more_tx) > _LEAST_WIDER_RAD:
            wider.append((more_rx + more_tx, other.level_db))
    if len(wider) < _FEWEST_WIDER:
        return None
    return float(np.median([level_db for _, level_db in sorted(wider)[:_MOST_WIDER]]))


def _wrong_lengths(facts: DictionaryFacts) -> Iterator[Suspicion]:
    """Lengths that are wrong, and differ there and back, of either pair once."""
    for link, there in facts.entries.items():
        back = facts.entries.get((link[1], link[0]))
        if back is None or link[0] > link[1]:
            continue
        if not (has_direct_path(there) and has_direct_path(back)):
            continue
        off_m, stds_m = _lengths_m(there, back)
        if off_m is None or stds_m is None:
            continue
        std_m = float(np.hypot(*stds_m))
        clock_m = SPEED_OF_LIGHT_M_PER_S * float(
            np.sqrt(there.header.delay_var_s2 + back.header.delay_var_s2)
        )
        mean_m, differ_m = (off_m[0] + off_m[1]) / 2.0, abs(off_m[0] - off_m[1])
        if differ_m > max(NUM_STD * float(np.hypot(std_m, clock_m)), LEAST_RANGE_M):
            said = (
                f"length off by {off_m[0]:+.2f} m there and {off_m[1]:+.2f} m back; standard "
                f"deviation {np.hypot(std_m, clock_m):.2f} m"
            )
            yield Suspicion(link, "reciprocity", said)
        elif abs(mean_m) > max(NUM_STD * std_m / 2.0, LEAST_RANGE_M) > differ_m:
            said = f"{mean_m:+.2f} m; standard deviation {std_m / 2.0:.2f} m, both ways"
            yield Suspicion(link, "length", said)


def _lengths_m(
    there: EntryFacts, back: EntryFacts
) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    one, other = there.path, back.path
    if one is None or other is None:
        return None, None
    if one.range_off_m is None or other.range_off_m is None:
        return None, None
    if one.range_std_m is None or other.range_std_m is None:
        return None, None
    return (one.range_off_m, other.range_off_m), (one.range_std_m, other.range_std_m)


def _wrong_directions(facts: DictionaryFacts) -> Iterator[Suspicion]:
    for link, entry in facts.entries.items():
        path = entry.path
        if path is None or path.sine_off is None or path.sine_std is None:
            continue
        is_off = abs(path.sine_off) > max(NUM_STD * path.sine_std, LEAST_SINE)
        if is_off and has_direct_path(entry):
            said = f"sine off by {path.sine_off:+.3f}; standard deviation {path.sine_std:.3f}"
            yield Suspicion(link, "direction", said)
