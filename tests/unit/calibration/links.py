"""One link to calibrate on, and halls of scatterers about links like it."""

import numpy as np

from drivers.array import UniformLinearArray
from drivers.geometry import ComplexArray, Pose
from drivers.node import Node
from drivers.waveform import OfdmGrid
from sim_backend.channel import background_channel
from sim_backend.scene import SceneStatistics, draw_scene

GRID = OfdmGrid(5.8e9, 60e3, 334)  # 20 MHz: a cell is 15 m
SPACING_M = GRID.wavelength_m / 2.0
ARRAY = UniformLinearArray(4, SPACING_M)
TX = Node("tx", "tx", Pose((0.0, 0.0), 0.0), ARRAY)
RX = Node("rx", "rx", Pose((30.0, 40.0), np.deg2rad(-150.0)), ARRAY)
AWAY = Node("rx", "rx", Pose((30.0, 40.0), np.deg2rad(30.0)), ARRAY)
HALL_M = (0.0, 0.0, 50.0, 50.0)


def link_in_a_hall(seed: int) -> tuple[Node, Node, ComplexArray]:
    """Two nodes anywhere that look at each other roughly, and their channel among scatterers."""
    rng = np.random.default_rng([seed, 83])
    first, second = rng.uniform(5.0, 45.0, (2, 2))
    heading = np.arctan2(*(second - first)[::-1])
    tx = Node("tx", "tx", Pose((float(first[0]), float(first[1])), float(heading)), ARRAY)
    turned = float(heading + np.pi + rng.uniform(-0.7, 0.7))
    rx = Node("rx", "rx", Pose((float(second[0]), float(second[1])), turned), ARRAY)
    scene = draw_scene(seed, [tx, rx], SceneStatistics(HALL_M))
    return tx, rx, background_channel(scene, GRID, 0, 1)


def white_noise(shape: tuple[int, ...], std: float, rng: np.random.Generator) -> ComplexArray:
    """Circular noise with this standard deviation in each part."""
    return rng.standard_normal((*shape, 2)).view(np.complex128)[..., 0] * std
