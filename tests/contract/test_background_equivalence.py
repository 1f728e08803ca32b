"""Studies may leave the static channel out: the equivalent form has the same residuals.

Full form: everything synthesized, the entry learned by (8) from 70 captures. Equivalent form: the
static channel cancelled, and the entry's noise drawn from the median's own distribution.
"""

import math

import numpy as np
import pytest
from scipy import stats

from calibration.learning import learn_background
from drivers.array import ElementPattern, UniformLinearArray
from drivers.geometry import Pose, bistatic_delay_s, delay_limits_s
from drivers.link_budget import channel_noise_var
from drivers.node import Node
from drivers.waveform import OfdmGrid
from processing.pipeline import LinkProcessor
from processing.search import ProcessingSettings
from processing.suppression import Background
from sim_backend.channel import target_channel
from sim_backend.scene import Scene, SceneStatistics, draw_scene
from sim_backend.source import SimulatedSource, median_var_ratio

# 512 tones over the paper's 100 MHz
GRID = OfdmGrid(carrier_hz=10e9, subcarrier_spacing_hz=195.3125e3, num_subcarriers=512)
AREA_M = (0.0, 0.0, 80.0, 80.0)
NUM_CAPTURES = 70
LINKS = [(0, 1), (1, 0), (2, 3), (3, 1), (4, 2), (0, 4)]
FORMS = ("full", "equivalent")
TAIL = 0.0005  # two-sided 99.9 %


def hall(seed: int, **statistics) -> tuple[list[Node], Scene]:
    rng = np.random.default_rng([seed, 33])
    array = UniformLinearArray(4, GRID.wavelength_m / 2)
    pattern = ElementPattern(kind="omnidirectional")
    nodes = [
        Node(f"n{n}", f"at{n}", Pose((float(x), float(y)), float(turn)), array, pattern,
             noise_figure_db=float(n))
        for n, (x, y, turn) in enumerate(rng.uniform(0.0, 80.0, (5, 3)))
    ]  # fmt: skip
    return nodes, draw_scene(seed, nodes, SceneStatistics(AREA_M, **statistics))


class Forms:
    """Both forms of one hall, side by side."""

    def __init__(self, seed: int, **statistics) -> None:
        self.nodes, self.scene = hall(seed, **statistics)
        self._sources = {
            "full": SimulatedSource(self.scene, self.nodes, GRID),
            "equivalent": SimulatedSource(self.scene, self.nodes, GRID, "cancelled"),
        }
        self.processor = LinkProcessor(
            GRID, self.nodes[0].array, 280.0 / 299_792_458.0, ProcessingSettings()
        )

    def background(self, form: str, link: tuple[int, int]) -> Background:
        source = self._sources[form]
        names = self.nodes[link[0]].node_id, self.nodes[link[1]].node_id
        if form == "full":
            return Background(learn_background(source, *names, NUM_CAPTURES).channel, form)
        return Background(source.entry_noise(*names, NUM_CAPTURES), form)

    def capture(self, form: str, link: tuple[int, int], look: int):
        names = self.nodes[link[0]].node_id, self.nodes[link[1]].node_id
        return self._sources[form].sense(names[0], names[1:], look)[0]


def noise_of_residuals(forms: Forms, form: str) -> dict[tuple[int, int], np.ndarray]:
    """Residual less the target's echo, over the capture's noise, both parts: ``(2, K, M)``."""
    found = {}
    for link in LINKS:
        residual = forms.processor.residual(
            forms.capture(form, link, 0), forms.background(form, link)
        )
        rcs = forms.scene.target_rcs_m2(*link, 0)
        noise = residual - target_channel(forms.scene, GRID, *link, rcs)
        var = channel_noise_var(forms.nodes[link[0]], forms.nodes[link[1]], GRID)
        noise = noise / math.sqrt(var / 2)
        found[link] = np.stack((noise.real, noise.imag))
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_residuals_have_one_variance_and_one_distribution(seed):
    forms = Forms(seed)
    full, equivalent = (noise_of_residuals(forms, form) for form in FORMS)
    expected = 1.0 + median_var_ratio(NUM_CAPTURES)  # a capture's noise and the entry's
    for link in LINKS:
        size = full[link].size
        low, high = stats.chi2.ppf([TAIL, 1 - TAIL], size) / size
        for residual in (full[link], equivalent[link]):
            assert low * expected < np.mean(residual**2) < high * expected
            assert abs(np.mean(residual)) < 3.29 * math.sqrt(expected / size)
            # Neighbouring tones and elements stay independent.
            assert abs(np.mean(residual[:, 1:] * residual[:, :-1])) < 3.5 * expected / size**0.5
            assert (
                abs(np.mean(residual[:, :, 1:] * residual[:, :, :-1])) < 4.0 * expected / size**0.5
            )
        assert stats.ks_2samp(full[link].ravel(), equivalent[link].ravel()).pvalue > 1e-4
    pooled = [np.concatenate([r.ravel() for r in form.values()]) for form in (full, equivalent)]
    assert stats.ks_2samp(*pooled).pvalue > 1e-3
    normal = stats.norm(scale=math.sqrt(expected))
    assert all(stats.kstest(residual, normal.cdf).pvalue > 1e-3 for residual in pooled)


def test_entry_errors_have_one_variance_over_links():
    """The entries themselves, where the capture's noise does not cover what they add."""
    forms = Forms(3)
    for link in LINKS:
        var = channel_noise_var(forms.nodes[link[0]], forms.nodes[link[1]], GRID)
        static = SimulatedSource(forms.scene, forms.nodes, GRID).static_channel(*link)
        errors = [
            forms.background("full", link).channel - static,
            forms.background("equivalent", link).channel,
        ]
        parts = [
            np.concatenate((e.real.ravel(), e.imag.ravel())) / math.sqrt(var / 2) for e in errors
        ]
        size = parts[0].size
        ratio = np.mean(parts[0] ** 2) / np.mean(parts[1] ** 2)
        low, high = stats.f.ppf([TAIL, 1 - TAIL], size, size)
        assert low < ratio < high
        assert stats.ks_2samp(*parts).pvalue > 1e-3


def test_reports_err_alike():
    """Delay, sine and SNR of the reports, over many looks: same distribution, same statistics."""
    target_m = (30.0, 35.0)
    statistics = {"target_m": target_m, "mean_rcs_m2": 20.0, "num_clutter": 10}
    errors: dict[str, list[float]] = {"full": [], "equivalent": []}
    snr: dict[str, list[float]] = {"full": [], "equivalent": []}
    num_looks = 40
    detected = {"full": 0, "equivalent": 0}
    forms = Forms(4, **statistics)
    for link in LINKS:
        tx, rx = (forms.nodes[n].pose.position for n in link)
        truth_s = float(bistatic_delay_s(tx, rx, target_m))
        limits_s = delay_limits_s(tx, rx, AREA_M)
        for form in FORMS:
            background = forms.background(form, link)
            for look in range(num_looks):
                report = forms.processor.report(
                    forms.capture(form, link, look), background,
                    sensing_index=look, delay_limits_s=limits_s,
                )  # fmt: skip
                # The target's, if any: an echo within ten cells of where it is.
                near = [h for h in report.hypotheses if abs(h.delay_s - truth_s) < 1e-7]
                if near:
                    detected[form] += 1
                    deviation_s = math.sqrt(near[0].delay_var_s2)
                    errors[form].append((near[0].delay_s - truth_s) / deviation_s)
                    snr[form].append(math.log(near[0].snr))
                assert len(near) == len(report.hypotheses)  # no clutter left to find
    full, equivalent = np.array(errors["full"]), np.array(errors["equivalent"])
    assert min(detected.values()) > 0.9 * num_looks * len(LINKS)
    # The same noise but for the entry's: nearly the same looks are detected.
    assert abs(detected["full"] - detected["equivalent"]) <= 4
    for normalized in (full, equivalent):
        # Looks at one entry share its noise, 2 % of the variance: not quite independent.
        low, high = stats.chi2.ppf([TAIL, 1 - TAIL], normalized.size) / normalized.size
        assert 0.9 * low < np.mean(normalized**2) < 1.1 * high
    assert stats.ks_2samp(full, equivalent).pvalue > 1e-2
    assert stats.ks_2samp(snr["full"], snr["equivalent"]).pvalue > 1e-2
    if full.size == equivalent.size:
        # Paired: each look's error moves by what the entry's noise (2 %) weighs.
        moved = full - equivalent
        assert np.sqrt(np.mean(moved**2)) < 0.5
