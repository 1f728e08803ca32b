"""From one capture to one link report."""

from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np

from drivers.array import UniformLinearArray
from drivers.capture import Capture
from drivers.geometry import ComplexArray
from drivers.waveform import OfdmGrid, pilot_symbols
from processing.alignment import Groups
from processing.channel import channel_estimate, suppress_background
from processing.delay_count import delay_count
from processing.detect import CfarPlan
from processing.link_background import LinkBackground, link_background
from processing.near_residual import NearResidual
from processing.phase_noise import PhaseNoiseCopies
from processing.power_map import (
    PowerMap,
    PowerMapPlan,
    energy_outside_db,
    plan_power_map,
    power_map,
    with_equal_noise,
)
from processing.report import Hypothesis, LinkReport
from processing.search import EchoSearch, ProcessingSettings
from processing.subbands import SubbandSums
from processing.suppression import Background, Suppression, check_capture, check_signal, suppressed

# Alignment is linear about one that the echo had pulled at: each round leaves the square of that.
_MAX_JOINT_ROUNDS = 5
# Another alignment that moves no cell of a map by more of its noise than this changes nothing.
_SETTLED_STD = 0.05
# Axes of delay on which a background is kept besides its own: clocks that wander need no more.
_MOST_MOVED = 4


class LinkProcessor:
    """Turns captures of one waveform and one array into link reports.

    Parameters
    ----------
    grid, array
        Waveform and receiving array.
    max_delay_s
        Longest bistatic delay on any link; the map ends there.
    settings
        Detection and refinement.
    """

    def __init__(
        self,
        grid: OfdmGrid,
        array: UniformLinearArray,
        max_delay_s: float,
        settings: ProcessingSettings,
    ) -> None:
        self.grid = grid
        self.array = array
        self.settings = settings
        self._pilots = pilot_symbols(grid)
        self._waveform_hash = grid.waveform_hash
        self.map_plan: PowerMapPlan = plan_power_map(
            grid, array, max_delay_s,
            num_angles=settings.num_angles, delay_oversampling=settings.delay_oversampling,
        )  # fmt: skip
        self._copies = PhaseNoiseCopies(self.map_plan)
        self._prepared: WeakKeyDictionary[Background, dict[Groups, LinkBackground]] = (
            WeakKeyDictionary()
        )
        self._tuned: WeakKeyDictionary[Background, tuple[int, Background]] = WeakKeyDictionary()
        self.search = EchoSearch(self.map_plan, settings)
        self.cfar: CfarPlan = self.search.cfar
        self.detection_snr: float = self.search.detection_snr

    def residual(self, capture: Capture, background: Background | None) -> ComplexArray:
        """Residual channel of a capture, shape ``(K, M)``; eqs. (2) and (9).

        Raises
        ------
        CaptureRefusedError
            If the capture is not usable; if capture, background and processor do not belong
            together (another waveform, another tuning since the background was learned, another
            array); or if the capture holds no signal: not finite, or all zero.
        """
        if background is not None and capture.needs_alignment:
            return self.suppressed(capture, background).residual
        check_capture(capture, background, self._waveform_hash)
        check_signal(capture, float(np.vdot(capture.rx_pilots, capture.rx_pilots).real))
        return suppress_background(
            self._estimate(capture, background), None if background is None else background.channel
        )

    def suppressed(
        self, capture: Capture, background: Background, late_s: float | None = None
    ) -> Suppression:
        """A capture aligned to its background, with that taken out; raises as `residual`."""
        check_capture(capture, background, self._waveform_hash)
        # Pilots are taken out on the way where nothing else is.
        plain = background.response is None
        what = suppressed(
            capture.rx_pilots if plain else self._estimate(capture, background),
            background, self.grid, capture.coherent_groups, late_s,
            tones=self._pilots.conj() if plain else None,
        )  # fmt: skip
        check_signal(capture, what.lay.energy or 0.0)
        return what

    def _estimate(self, capture: Capture, background: Background | None) -> ComplexArray:
        """Channel estimate, elements' response taken out, shape ``(K, M)``; eq. (2)."""
        estimate = channel_estimate(capture.rx_pilots, self._pilots)
        inverse = None if background is None else background.inverse_response
        if inverse is not None and inverse.shape == estimate.shape:
            estimate = estimate * inverse
        return estimate

    def prepared(self, background: Background, groups: Groups) -> LinkBackground:
        """What captures aligned to a background need of it; worked out once, and kept with it."""
        groups = groups if len(groups) > 1 else ()  # one group is all elements
        kept = self._prepared.setdefault(background, {})
        if groups not in kept:
            kept[groups] = link_background(background, groups, self.map_plan, self._copies)
        return kept[groups]

    def map_of(self, residual: ComplexArray) -> PowerMap:
        """Range-angle power map of a residual; eqs. (10) and (11)."""
        return power_map(residual, self.map_plan)

    def report(
        self,
        capture: Capture,
        background: Background | None,
        *,
        sensing_index: int,
        delay_limits_s: tuple[float, float],
        late_s: float | None = None,
    ) -> LinkReport:
        """Link report of a capture.

        Parameters
        ----------
        background
            The link's entry, or ``None`` to process without suppression.
        delay_limits_s
            Shortest and longest delay an echo from the search area can have on this link.
        late_s
            How much too late the capture's own common time shows delays, where that is
            calibrated; delays then follow it, and not the background.
        """
        own_time = late_s if capture.delay_is_absolute else None
        count = delay_count(capture, background, own_time)
        limits = delay_limits_s if count.is_absolute else (0.0, np.inf)
        later_s, louder, hidden_snr = 0.0, 1.0, None
        if background is None or not capture.needs_alignment:
            residual = self.residual(capture, background)
            found, sums = (
                self.map_of(residual),
                SubbandSums(residual, self.grid, self.map_plan.bin_s),
            )
            hypotheses, truncated = self.search.found(sums, found, limits)
        else:
            tuned = self._as_tuned(capture, background, own_time, limits)
            joint = self._joint(capture, tuned, own_time, limits)
            what, found, truncated = joint.what, joint.even, joint.truncated
            hypotheses, hidden_snr, louder = joint.hypotheses, joint.hidden_snr, what.louder
            if own_time is not None:
                later_s = what.late_s
                hypotheses = [replace(h, delay_s=h.delay_s + later_s) for h in hypotheses]
        return LinkReport(
            tx_id=capture.tx_id,
            rx_id=capture.rx_id,
            sensing_index=sensing_index,
            hypotheses=tuple(hypotheses),
            truncated=truncated,
            detection_snr=self.detection_snr,
            noise_var=found.noise_var * louder,
            num_averaged=capture.num_averaged,
            hidden_snr=hidden_snr,
            outside_db=energy_outside_db(found, (limits[0] - later_s, limits[1] - later_s)),
            delay_is_absolute=count.is_absolute,
            config_epoch=capture.config_epoch,
            background_hash=None if background is None else background.content_hash,
            on_direct_path=count.on_direct_path,
            link_delay_var_s2=count.var_s2,
        )

    def _as_tuned(
        self,
        capture: Capture,
        background: Background,
        own_time_late_s: float | None,
        limits: tuple[float, float],
    ) -> Background:
        """A background whose groups lie to each other as in a capture; kept for its tuning.

        Groups have phases of their own since they were tuned. The elements' response is of this
        tuning and the background of an earlier one: brought onto that, an echo's wave would bend.
        """
        if len(capture.coherent_groups) < 2:
            return background
        epoch, tuned = self._tuned.get(background, (None, background))
        if epoch != capture.config_epoch:
            tuned = background
            for _ in range(2):  # the echo pulls at the first
                lay = self._joint(capture, tuned, own_time_late_s, limits).what.lay
                tuned = tuned.lying_as(lay, self.grid)
            self._tuned[background] = capture.config_epoch, tuned
        return tuned

    def _aligned(
        self, capture: Capture, background: Background, own_time_late_s: float | None
    ) -> tuple[LinkBackground, Suppression]:
        """A capture aligned to its background, on the axis of delay of its own time if it has one.

        To whole resolution cells; `Suppression.late_s` has the rest.
        """
        groups = capture.coherent_groups
        what = self.suppressed(capture, background, own_time_late_s)
        cells = round(what.late_s * self.grid.bandwidth_hz)
        link = self.prepared(background, groups)
        if cells == 0:
            return link, what
        if cells not in link.moved:
            if len(link.moved) == _MOST_MOVED:
                link.moved.clear()
            moved = background.moved(cells / self.grid.bandwidth_hz, self.grid)
            worked_out = link_background(moved, groups, self.map_plan, self._copies)
            link.moved[cells] = moved, worked_out
        moved, link = link.moved[cells]
        return link, self.suppressed(capture, moved, own_time_late_s)

    def _joint(
        self,
        capture: Capture,
        background: Background,
        own_time_late_s: float | None,
        limits: tuple[float, float],
    ) -> "_Joint":
        """Echoes and alignment estimated together: an echo was part of what was aligned."""
        link, what = self._aligned(capture, background, own_time_late_s)
        limits = limits[0] - what.late_s, limits[1] - what.late_s
        left = first = NearResidual(link.near, what.left)
        found = self.map_of(what.residual)
        level = link.noise_level(what, found)
        even = with_equal_noise(found, level * link.share)
        hypotheses, truncated = self.search.found(left.sums, even, limits)
        seen_snr = hypotheses[0].snr if hypotheses else None
        if hypotheses:
            hypotheses = left.whole(hypotheses, limits[0])
            for number in range(_MAX_JOINT_ROUNDS):
                still = left.realignment(hypotheses)
                if link.near.energy_of(still) < _SETTLED_STD**2 * found.noise_var:
                    hypotheses = hypotheses if number else left.fitted(hypotheses)
                    break
                what = what.realigned(still, self.grid)
                left = NearResidual(link.near, what.left)
                found = power_map(what.residual, self.map_plan, noise_power=found.noise_power)
                even = with_equal_noise(found, level)
                hypotheses, truncated = self.search.found(left.sums, even, limits)
                hypotheses = left.fitted(hypotheses)
                if not hypotheses:
                    break
            if hypotheses and first.is_of_background(hypotheses[0], limits[0], found.noise_power):
                hypotheses = []
        told = link.near.told_apart(hypotheses)
        return _Joint(what, even, told, truncated, None if told else seen_snr)


@dataclass(frozen=True, slots=True)
class _Joint:
    """What echoes and alignment are together; see `LinkReport` for the last three.

    The map is of equal noise in all cells.
    """

    what: Suppression
    even: PowerMap
    hypotheses: list[Hypothesis]
    truncated: bool
    hidden_snr: float | None
