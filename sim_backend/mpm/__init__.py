"""A software USRP E320, for real libuhd: discovery, msgpack-rpc and CHDR on loopback."""

from sim_backend.mpm.server import SoftwareUsrp

__all__ = ["SoftwareUsrp"]
