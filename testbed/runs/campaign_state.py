"""What a campaign is to do, and how far it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

# Links that are named where many have the same problem.
_MOST_NAMED = 3
NodeIds = tuple[str, str]  # of transmitter and receiver


@dataclass(frozen=True)
class CampaignPlan:
    """What a campaign does; by default all that is missing, nodes first.

    Attributes
    ----------
    only
        Nodes or backgrounds alone.
    spread_s
        Time that the captures of each entry are spread over, in rounds.
    update
        Whether entries that are there are blended with fresh captures.
    """

    only: Literal["nodes", "backgrounds"] | None = None
    spread_s: float = 0.0
    update: bool = False


@dataclass(frozen=True)
class CampaignState:
    """How far a campaign is.

    Attributes
    ----------
    stage
        Whether nodes are calibrated, or backgrounds are learned.
    done, total
        Bursts of the one, entries of the other, in each round.
    lost
        How many captures were taken again, by what was wrong with them.
    round, num_rounds
        Which one it is, from one, of how many.
    pause_s
        How long it waits for the round; zero when it does not.
    moved
        Entries in whose captures something moved, and in how many parts, of how many, of the time.
    unlike
        Entries that an update has left as they are, and why.
    """

    stage: Literal["nodes", "entries"] = "nodes"
    done: int = 0
    total: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)
    round: int = 1
    num_rounds: int = 1
    pause_s: float = 0.0
    moved: Mapping[NodeIds, tuple[int, int]] = field(default_factory=dict)
    unlike: Mapping[NodeIds, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """For people."""
        if self.stage == "nodes":
            return "calibrating the nodes"
        said = ["entries"]
        if self.num_rounds > 1:
            begins = f" begins in {self.pause_s / 60.0:.3g} min" if self.pause_s else ""
            said.append(f"round {self.round} of {self.num_rounds}{begins}")
        if self.moved:
            said.append(f"something moved in {len(self.moved)}")
        if self.lost:
            counts = "; ".join(f"{count} because {why}" for why, count in sorted(self.lost.items()))
            said.append(f"captures taken again: {counts}")
        return ", ".join(said)

    @property
    def remarks(self) -> list[str]:
        """What is to be said at the end."""
        said = []
        if self.moved:
            said.append(
                f"{len(self.moved)} entries were disturbed while they were learned: something "
                f"moved on {named_links(list(self.moved))}. These parts of the time are left out "
                "up to about half; testbed dictionary check tells whether they "
                "hold"
            )
        by_reason: dict[str, list[NodeIds]] = {}
        for link, why in self.unlike.items():
            by_reason.setdefault(why, []).append(link)
        said += [
            f"{len(links)} entries are left as they were ({named_links(links)}): {why}; see "
            "testbed dictionary check, and learn again what is stale"
            for why, links in by_reason.items()
        ]
        return said


def named_links(links: Sequence[NodeIds]) -> str:
    """The first few of them, and how many more there are."""
    names = [f"{tx_id} -> {rx_id}" for tx_id, rx_id in links]
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more links" if more > 0 else "")
