"""Textbook cell-averaging CFAR, cell by cell."""

import numpy as np


def training_cells(
    angle: int, delay: int, shape: tuple[int, int], guard: int, train: int, angle_halfwidth: int
) -> list[tuple[int, int]]:
    """Training cells of one cell under test that lie on the map.

    Delay bins further than `guard` and not further than `guard + train`, at every angle within
    `angle_halfwidth` cells.
    """
    return [
        (g, bin_index)
        for g in range(shape[0])
        for bin_index in range(shape[1])
        if abs(g - angle) <= angle_halfwidth and guard < abs(bin_index - delay) <= guard + train
    ]


def training_mean(power: np.ndarray, guard: int, train: int, angle_halfwidth: int) -> np.ndarray:
    """Mean of the training cells of every cell, shape of the map."""
    mean = np.empty(power.shape)
    for g in range(power.shape[0]):
        for bin_index in range(power.shape[1]):
            cells = training_cells(g, bin_index, power.shape, guard, train, angle_halfwidth)
            mean[g, bin_index] = sum(float(power[cell]) for cell in cells) / len(cells)
    return mean


def factor(num_cells: int, probability: float) -> float:
    """Factor on the mean of independent exponential cells, ``N (P_fa^(-1/N) - 1)``."""
    return num_cells * (probability ** (-1 / num_cells) - 1)
