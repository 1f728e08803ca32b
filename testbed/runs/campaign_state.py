"""What a campaign is to do, and how far it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from testbed.runs.link_names import Link, links_by_reason, named_links


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
    relearn
        Whether entries are learned again that are of links as they were before: whose nodes were
        moved, or have other elements that cannot be compared.
    """

    only: Literal["nodes", "backgrounds"] | None = None
    spread_s: float = 0.0
    update: bool = False
    relearn: bool = False


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
    moved: Mapping[Link, tuple[int, int]] = field(default_factory=dict)
    unlike: Mapping[Link, str] = field(default_factory=dict)

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
        said += [
            f"{len(links)} entries are left as they were ({named_links(links)}): {why}; see "
            "testbed dictionary check, and learn again what is stale"
            for why, links in links_by_reason(self.unlike).items()
        ]
        return said
