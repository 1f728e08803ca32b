"""A site whose sensing loop does what the paper says, to the letter."""

import msgspec

from fusion.settings import PAPER_LITERAL
from testbed.site import Site


def paper_literal(site: Site) -> Site:
    """The site with `fusion.settings.PAPER_LITERAL`; budget and tolerance are kept."""
    return msgspec.structs.replace(
        site, sensing=msgspec.structs.replace(site.sensing, **PAPER_LITERAL)
    )


def is_paper_literal(site: Site) -> bool:
    """Whether that changes nothing."""
    return paper_literal(site) == site
