"""Link reports: what one receiver tells the edge server about one capture."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One candidate echo on one link.

    Attributes
    ----------
    delay_s, delay_var_s2
        Bistatic delay and its variance.
    sine, sine_var
        Sine of the arrival angle from boresight and its variance; ``None`` for one element.
        A linear array measures the sine: its error is Gaussian and free of the singularity
        that the angle has at endfire.
    snr
        Matched-cell SNR, linear, noise bias removed.
    """

    delay_s: float
    delay_var_s2: float
    sine: float | None
    sine_var: float | None
    snr: float

    @property
    def angle_rad(self) -> float | None:
        """Arrival angle from boresight in [-pi/2, pi/2], or ``None``."""
        return None if self.sine is None else float(np.arcsin(np.clip(self.sine, -1.0, 1.0)))

    @property
    def angle_var_rad2(self) -> float | None:
        """Variance of the angle, ``var(sine) / cos^2``; infinite at endfire, or ``None``."""
        if self.sine is None or self.sine_var is None:
            return None
        cos2 = 1.0 - min(self.sine**2, 1.0)
        return self.sine_var / cos2 if cos2 > 0.0 else float("inf")


@dataclass(frozen=True, slots=True)
class LinkReport:
    """Everything one receiver reports for one sensing; nothing detected is a report too.

    Attributes
    ----------
    tx_id, rx_id, sensing_index
        Which link, in which sensing.
    hypotheses
        Candidates, best first; empty if nothing was detected.
    detection_snr
        Matched-cell SNR at which the detector's threshold lies, linear, the mean loss of
        echoes between two delay bins included.
    noise_var
        Estimated variance of one channel-estimate entry, relative to the transmitted tone.
    num_averaged
        Symbols that the capture is a mean of.
    outside_db
        Energy at delays that no echo from the search area can have, over that of noise; ``None``
        where the map has none of them.
    delay_is_absolute
        Whether delays start at transmission; otherwise only the angle may be used.
    on_direct_path
        Whether they do so by the link's direct path as surveyed, not by common time.
    link_delay_var_s2
        Variance of an error that all delays on this link share, now and in other looks.
    config_epoch
        Of the capture.
    truncated
        Whether there were more candidates than a report carries: a target weaker than all of
        `hypotheses` may then have been seen and left out.
    hidden_snr
        Matched-cell SNR of what was seen but is not told from an echo that the direct path hides,
        so that nothing is said of where it is; ``None`` if nothing was, or there are hypotheses.
    background_hash
        Content hash of the dictionary entry that was subtracted, ``None`` if none was.
    """

    tx_id: str
    rx_id: str
    sensing_index: int
    hypotheses: tuple[Hypothesis, ...]
    detection_snr: float
    noise_var: float
    delay_is_absolute: bool
    config_epoch: int
    background_hash: str | None
    truncated: bool = False
    on_direct_path: bool = False
    link_delay_var_s2: float = 0.0
    num_averaged: int = 1
    outside_db: float | None = None
    hidden_snr: float | None = None

    @property
    def seen_snr(self) -> float:
        """Matched-cell SNR of the strongest that was seen, told or hidden; zero without any."""
        told = (hypothesis.snr for hypothesis in self.hypotheses)
        return max(told, default=self.hidden_snr or 0.0)
