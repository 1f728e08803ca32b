"""A calibration campaign over all links of a site."""

from collections.abc import Callable, Mapping
from pathlib import Path

from calibration.campaign_lock import campaign_lock
from calibration.dictionary_entry import DictionaryError
from calibration.dictionary_survey import refuse_damaged
from drivers.capture import CaptureRefusedError
from testbed.errors import UsageError
from testbed.runs.backgrounds import open_dictionary
from testbed.runs.campaign import Campaign
from testbed.runs.campaign_state import CampaignPlan, CampaignState
from testbed.runs.link_names import Link, by_reason
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
        If the directory is of something else, another campaign writes there now, an entry is
        damaged, or is of a link as it was before and not to be learned again.
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
    calibration = None
    if plan.only != "backgrounds":
        calibration = node_calibration_of(
            setup, dictionary, lambda done, total: progress(CampaignState("nodes", done, total))
        )
    campaign = Campaign(site, setup, dictionary, calibration, plan, progress)
    if campaign.changed and not plan.relearn:
        raise DictionaryError(_said_of_changed(out, campaign.changed))
    if plan.only != "nodes":
        campaign.run()
    if campaign.problems:
        raise CaptureRefusedError(_said_of(campaign.problems, campaign.total))
    return campaign.learned, campaign.total


def _said_of_changed(root: Path, changed: Mapping[Link, str]) -> str:
    return (
        f"{root}: {len(changed)} entries are of links as they were before: {by_reason(changed)}. "
        "Add --relearn to learn them again, or name another directory"
    )


def _said_of(problems: Mapping[Link, str], total: int) -> str:
    said = by_reason({link: f"a capture {why}" for link, why in problems.items()})
    return (
        f"{len(problems)} of {total} entries could not be learned: {said}. The others are kept: "
        "run it again when this is mended"
    )
