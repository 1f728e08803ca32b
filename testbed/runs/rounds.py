"""Entries that are learned in rounds, spread over time, in bounded memory."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from calibration.background import MOST_PARTS
from calibration.dictionary import BackgroundDictionary
from calibration.dictionary_entry import DictionaryError, LearnedWith, file_stem
from calibration.entry_checks import Link
from calibration.learning import LearnedBackground, MostMoved, median_of_rounds
from calibration.link_geometry import LinkGeometry
from drivers.node import Node
from drivers.waveform import OfdmGrid, pilot_symbols

_FOLDER = "rounds"
_GB = 1e9


@dataclass(frozen=True)
class SaidOfRound:
    """What a round was learned with, and of which geometry."""

    geometry: LinkGeometry
    learned_with: LearnedWith


class Rounds:
    """What each round but the last learned, kept beside the entries until those are whole.

    All captures of a hall fit no memory, and hardly a disk: each round keeps the median of its
    own, as the entry of a small dictionary, and the entry is the median of these.

    Parameters
    ----------
    dictionary
        Of the entries.
    grid
        Their waveform.
    num_rounds
        At most as many as an entry has captures.

    Attributes
    ----------
    sizes
        Captures of each round.
    """

    def __init__(self, dictionary: BackgroundDictionary, grid: OfdmGrid, num_rounds: int) -> None:
        self._provenance = dictionary.provenance
        shares = np.array_split(range(self._provenance.num_captures), num_rounds)
        self.sizes = [len(share) for share in shares]
        self._grid, self._pilots = grid, pilot_symbols(grid)
        self._root = dictionary.root / _FOLDER

    def first_capture(self, number: int) -> int:
        """How many captures the rounds before take."""
        return sum(self.sizes[:number])

    def has(self, number: int, link: Link, now: SaidOfRound) -> bool:
        """Whether a round but the last has learned a link as it is now.

        What is damaged, or of other nodes than now, is removed, and so learned again.
        """
        folder = self._folder(number, link)
        if not folder.exists():
            return False
        try:
            said = self._dictionary(number, link).get(*link).header
        except (DictionaryError, KeyError):
            is_of_now = False
        else:
            same_place = said.geometry is not None and not said.geometry.changes(now.geometry)
            is_of_now = same_place and said.learned_with.receiver == now.learned_with.receiver
        if not is_of_now:
            shutil.rmtree(folder)
        return is_of_now

    def check_disk(self, receivers: Iterable[Node]) -> None:
        """See that there is room for what rounds keep of these receivers, one for each link.

        Raises
        ------
        DictionaryError
            If there is not.
        """
        tones = 8 * self._grid.num_subcarriers
        needed = len(self.sizes) * sum(tones * rx.array.num_elements for rx in receivers)
        free = shutil.disk_usage(self._root.parent).free
        if needed > free:
            msg = (
                f"{self._root.parent}: {needed / _GB:.2g} GB are needed for what {len(self.sizes)} "
                f"rounds keep, {free / _GB:.2g} GB are free; make room, or calibrate without "
                "--spread"
            )
            raise DictionaryError(msg)

    def put(self, number: int, link: Link, learned: LearnedBackground, said: SaidOfRound) -> None:
        """Keep what a round but the last learned of a link."""
        self._dictionary(number, link).put(
            *link, learned.channel, learned.config_epoch,
            delay_is_absolute=learned.delay_is_absolute, delay_var_s2=learned.delay_var_s2,
            geometry=said.geometry, learned_with=said.learned_with,
        )  # fmt: skip

    def together(
        self, link: Link, last: LearnedBackground, most_moved: MostMoved
    ) -> LearnedBackground:
        """The entry of what the last round has learned and those before.

        Raises
        ------
        CaptureRefusedError
            If they are of different tunings without alignment.
        """
        if len(self.sizes) == 1:
            return last
        kept = [self._dictionary(n, link).get(*link) for n in range(len(self.sizes) - 1)]
        channels = [*(entry.channel for entry in kept), last.channel]
        epochs = [*(entry.header.config_epoch for entry in kept), last.config_epoch]
        noise_vars = [*(entry.header.learned_with.noise_var for entry in kept), last.noise_var]
        captures = [
            replace(
                last.parts[0], rx_pilots=channel * self._pilots[:, None], num_averaged=size,
                config_epoch=epoch,
            )
            for channel, size, epoch in zip(channels, self.sizes, epochs, strict=True)
        ]  # fmt: skip
        return median_of_rounds(captures, noise_vars, self._grid, most_moved)

    def forget(self, link: Link) -> None:
        """Remove what was learned of a link whose entry is whole."""
        shutil.rmtree(self._root / file_stem(*link), ignore_errors=True)

    def remove(self) -> None:
        """Remove what there is of all links."""
        shutil.rmtree(self._root, ignore_errors=True)

    def _folder(self, number: int, link: Link) -> Path:
        return self._root / file_stem(*link) / f"{number + 1}-of-{len(self.sizes)}"

    def _dictionary(self, number: int, link: Link) -> BackgroundDictionary:
        provenance = msgspec.structs.replace(self._provenance, num_captures=self.sizes[number])
        return BackgroundDictionary(self._folder(number, link), provenance)


def num_rounds(num_captures: int) -> int:
    """In how many rounds captures are spread: as many as parts are told apart of an entry."""
    return min(num_captures, MOST_PARTS)
