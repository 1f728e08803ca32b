"""What this host itself allows: buffers of its sockets, and what its radios may transmit."""

from collections.abc import Sequence
from pathlib import Path

from drivers.interlock import TransmitLimits
from testbed.build import build_grid
from testbed.doctor.finding import Finding
from testbed.host import TRANSMIT_PLACES, TransmitConfigurationError, load_transmit_limits
from testbed.site import Site

# UHD asks for 2.5 MB on 1 Gb/s and more on 10 Gb/s; with less it warns, and loses samples.
_BUFFER_BYTES = 2_500_000
_SYSCTL = Path("/proc/sys")


def socket_buffers(sysctl: Path = _SYSCTL) -> Finding:
    """Whether the kernel gives sockets as much as USRPs on a network need."""
    names = ("net/core/rmem_max", "net/core/wmem_max")
    sizes = {name: int((sysctl / name).read_text(encoding="ascii")) for name in names}
    found = ", ".join(f"{Path(name).name} {size / 1e6:.2f} MB" for name, size in sizes.items())
    small = [name for name, size in sizes.items() if size < _BUFFER_BYTES]
    if not small:
        return Finding("this host", "socket buffers", "ok", found)
    settings = " ".join(f"{name.replace('/', '.')}=33554432" for name in small)
    remedy = f"sysctl -w {settings} (samples are lost at high rates otherwise)"
    return Finding("this host", "socket buffers", "advice", found, remedy)


def transmitting(
    site: Site, places: Sequence[Path] = TRANSMIT_PLACES, *, all_local: bool = False
) -> Finding:
    """Whether this host's own configuration lets its radios send the site's waveform.

    Parameters
    ----------
    all_local
        All radios are on loopback addresses, so that none radiates anything.
    """
    if all_local:
        found = "needs no permission: radios on loopback addresses are emulated"
        return Finding("this host", "transmitting", "ok", found)
    try:
        limits = load_transmit_limits(places)
    except TransmitConfigurationError as error:
        return Finding(
            "this host",
            "transmitting",
            "missing",
            str(error),
            "mend it; nothing is sent until then",
        )
    if limits.cabled or _covers(limits, site):
        found = "over cables" if limits.cabled else "allowed in the site's band"
        return Finding("this host", "transmitting", "ok", f"{found}: {limits.source}")
    found = f"its radios can receive only: no band holds that of the site, {_band(site)}"
    return Finding("this host", "transmitting", "advice", found, limits.source)


def _edges_hz(site: Site) -> tuple[float, float]:
    grid = build_grid(site)
    return (grid.carrier_hz - grid.bandwidth_hz / 2.0, grid.carrier_hz + grid.bandwidth_hz / 2.0)


def _band(site: Site) -> str:
    low_hz, high_hz = _edges_hz(site)
    return f"{low_hz / 1e6:.3f} to {high_hz / 1e6:.3f} MHz"


def _covers(limits: TransmitLimits, site: Site) -> bool:
    low_hz, high_hz = _edges_hz(site)
    return any(band.low_hz <= low_hz and high_hz <= band.high_hz for band in limits.bands)
