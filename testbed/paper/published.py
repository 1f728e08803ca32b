"""What the paper states in numbers: its text and Table I; its plots have no more than the text."""

from collections.abc import Mapping

# Fig. 2, M = 32, N_r = 1: RMSE in metres by scheme, then by J_max. The text gives ends of curves;
# where an end has no J_max, it is taken as 10. Of bounds and FIS, and without SFI: first and last.
FIG2_RMSE_M: Mapping[str, Mapping[int, float]] = {
    "proposed": {1: 20.0, 6: 0.45, 10: 0.45},
    "no_suppression": {1: 100.0, 6: 100.0, 10: 100.0},
    "without_sfi": {1: 67.0, 10: 3.6},
    "fis": {1: 20.0, 10: 4.2},
    "sfi_peb": {1: 10.0, 10: 2.4},
    "obs": {6: 0.25},
}

# Table I: error in metres by (M_a, N_r), then by percentile.
TABLE1_M: Mapping[tuple[int, int], Mapping[int, float]] = {
    (4, 1): {25: 0.0198, 50: 0.1408, 75: 0.4481, 90: 1.4493, 95: 4.7151},
    (4, 2): {25: 0.0101, 50: 0.2615, 75: 0.9036, 90: 1.7943, 95: 2.2916},
    (4, 3): {25: 0.0268, 50: 0.3200, 75: 0.8037, 90: 1.3402, 95: 1.7872},
    (16, 1): {25: 0.0056, 50: 0.0107, 75: 0.0215, 90: 0.3281, 95: 0.6050},
    (16, 2): {25: 0.0083, 50: 0.0173, 75: 0.0556, 90: 0.2267, 95: 0.5730},
    (16, 3): {25: 0.0116, 50: 0.0198, 75: 0.0646, 90: 0.2416, 95: 0.4130},
}

# Section VI: throughput loss in per cent, by (M_a, N_r); the text has no value for N_r = 2.
THROUGHPUT_LOSS_PCT: Mapping[tuple[int, int], float] = {
    (4, 1): 3.28, (4, 3): 3.5, (16, 1): 2.35, (16, 3): 2.64,
}  # fmt: skip
