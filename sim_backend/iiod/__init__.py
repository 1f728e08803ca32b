"""A software Pluto: libiio's network protocol over the ether."""

from sim_backend.iiod.personalities import PERSONALITIES, Personality
from sim_backend.iiod.server import SoftwarePluto

__all__ = ["PERSONALITIES", "Personality", "SoftwarePluto"]
