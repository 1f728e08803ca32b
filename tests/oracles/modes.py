"""What reports say about points and RCS levels, link by link, in logarithms."""

from collections.abc import Sequence

import numpy as np
from scipy import special

from fusion.echo_evidence import DEAF_LOOKS
from fusion.likelihood import LinkEvidence, RcsPrior


def log_joint(
    links: Sequence[LinkEvidence],
    choice: Sequence[int | None],
    unit_snr: Sequence[np.ndarray],
    points_m: np.ndarray,
    prior: RcsPrior,
) -> np.ndarray:
    """Log prior of the level times likelihood of every report's choice, shape ``(S, Q)``."""
    joint = np.repeat(prior.log_probability[:, None], len(points_m), axis=1)
    told: dict[tuple[str, str], list[np.ndarray]] = {}
    for link, h, unit in zip(links, choice, unit_snr, strict=True):
        snr = prior.level_m2[:, None] * unit
        kept, deaf = link.hearing(points_m)
        before = told.setdefault((link.tx.node_id, link.rx.node_id), [])
        deaf = (DEAF_LOOKS * deaf + np.sum(before, axis=0)) / (DEAF_LOOKS + len(before))
        if h is None:
            seen = link.log_miss(snr, kept, deaf)
            false = np.where(kept == 0.0, link.hidden_log, 0.0)
            before.append(deaf * np.exp(false - seen))
        else:
            seen = link.log_ratio(h, snr, deaf)
            before.append(np.zeros_like(seen))
        joint += seen
    return joint


def choice_scores(
    link: LinkEvidence,
    unit_snr: np.ndarray,
    points_m: np.ndarray,
    log_rcs: np.ndarray,
    prior: RcsPrior,
) -> np.ndarray:
    """Log mean over points and levels of a miss, then of each hypothesis, shape ``(1 + H,)``."""
    snr = prior.level_m2[:, None] * unit_snr
    kept, deaf = link.hearing(points_m)
    of_each = [link.log_miss(snr, kept, deaf)]
    of_each += [link.log_ratio(h, snr, deaf) for h in range(len(link.measurements))]
    return np.array(
        [special.logsumexp(log_rcs[:, None] + values) - np.log(len(points_m)) for values in of_each]
    )
