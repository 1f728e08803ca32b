"""A calibration campaign over all links of a site."""

from collections.abc import Callable, Mapping
from pathlib import Path

from calibration.campaign_lock import campaign_lock
from calibration.dictionary_survey import refuse_damaged
from drivers.capture import CaptureRefusedError
from testbed.errors import UsageError
from testbed.runs.backgrounds import open_dictionary
from testbed.runs.campaign import Campaign
from testbed.runs.campaign_state import CampaignPlan, CampaignState, NodeIds, named_links
from testbed.runs.node_calibration import node_calibration_of
from testbed.runs.setup import Setup
from testbed.site import Site

_ALL_MISSING = CampaignPlan()


def calibrate(
    site: Site,
    setup: Setup,
    out: Path,
    progress: Callable[[CampaignState], None] = lambda _state: None,
    plan: CampaignPlan = _ALL_MISSING,
) -> tuple[int, int]:
    """Learn every entry that is not there yet, or stale; how many of them, and of how many.

    Radios are calibrated first, by what their nodes hear of each other. Transmitters take turns,
    all other nodes listen, as in section III-A: as many at once as memory allows. A campaign that
    was stopped goes on where it was: whole entries are kept, and whole rounds of one that is
    spread. An update goes over all entries again, from the beginning.

    Raises
    ------
    UsageError
        If nodes alone are to be calibrated that have no radios, or one capture is to be spread.
    DictionaryError
        If the directory is of something else, another campaign writes there now, or an entry is
        damaged.
    CaptureRefusedError
        At the end, if there are links that no entry could be learned of; all others are there.
    """
    if plan.only == "nodes" and not setup.has_radios:
        msg = "pilot fidelity has no radios to calibrate; add --fidelity iq, or --only background"
        raise UsageError(msg)
    if plan.spread_s and site.calibration.num_captures < 2:
        raise UsageError("--spread needs more captures than one (calibration.num_captures)")
    with campaign_lock(out):
        return _calibrate(site, setup, out, progress, plan)


def _calibrate(
    site: Site,
    setup: Setup,
    out: Path,
    progress: Callable[[CampaignState], None],
    plan: CampaignPlan,
) -> tuple[int, int]:
    num_captures = site.calibration.num_captures
    dictionary = open_dictionary(out, setup.source, num_captures)
    refuse_damaged(dictionary)  # before hours of learning, not after
    if plan.only != "backgrounds":
        node_calibration_of(
            setup, out, num_captures,
            lambda done, total: progress(CampaignState("nodes", done, total)),
        )  # fmt: skip
    campaign = Campaign(site, setup, dictionary, plan, progress)
    if plan.only != "nodes":
        campaign.run()
    if campaign.problems:
        raise CaptureRefusedError(_said_of(campaign.problems, campaign.total))
    return campaign.learned, campaign.total


def _said_of(problems: Mapping[NodeIds, str], total: int) -> str:
    links: dict[str, list[NodeIds]] = {}
    for link, why in problems.items():
        links.setdefault(why, []).append(link)
    said = "; ".join(f"a capture on {named_links(named)} {why}" for why, named in links.items())
    return (
        f"{len(problems)} of {total} entries could not be learned: {said}. The others are kept: "
        "run it again when this is mended"
    )
