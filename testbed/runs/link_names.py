"""Links as people are told of them."""

from collections.abc import Mapping, Sequence

Link = tuple[str, str]  # of transmitter and receiver, by node ids
# Links that are named where many have the same problem.
_MOST_NAMED = 3


def named_links(links: Sequence[Link]) -> str:
    """The first few of them, and how many more there are."""
    names = [f"{tx_id} -> {rx_id}" for tx_id, rx_id in links]
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more links" if more > 0 else "")


def links_by_reason(links: Mapping[Link, str]) -> dict[str, list[Link]]:
    """Links that have the same problem."""
    found: dict[str, list[Link]] = {}
    for link, why in links.items():
        found.setdefault(why, []).append(link)
    return found


def by_reason(links: Mapping[Link, str]) -> str:
    """Links and what is the matter with them, in words."""
    found = links_by_reason(links).items()
    return "; ".join(f"{named_links(same)}: {why}" for why, same in found)
