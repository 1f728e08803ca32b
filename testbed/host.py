"""What this host may transmit, by its own configuration and nothing else."""

import math
import os
import pwd
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from drivers.interlock import TransmitBand, TransmitLimits
from testbed.site_checks import readable
from testbed.site_types import Decibels, NonNegative, Positive, Section
from testbed.yaml_file import YamlFileError, read_yaml


def _places() -> tuple[Path, ...]:
    everybody = Path("/etc/isac-testbed/transmit.yaml")
    try:
        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:  # as in a container that runs under a number of its own
        return (everybody,)
    own = home / ".config" / "isac-testbed" / "transmit.yaml"
    return (everybody, own) if home.is_absolute() else (everybody,)


# Fixed places, the first that exists: no option, site file or environment variable names another.
# The home is that of the password database, because $HOME is whatever a command says.
TRANSMIT_PLACES = _places()

_TimeOfDay = Annotated[str, Meta(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]


class TransmitConfigurationError(YamlFileError):
    """A transmit configuration that cannot be used, so that nothing is sent."""


class BandSection(Section, frozen=True):
    """A band in which the host may send, and its power at the antenna port."""

    low_mhz: NonNegative
    high_mhz: Positive
    max_power_dbm: Decibels


class TransmitSection(Section, frozen=True):
    """A host's transmit configuration; see ``drivers.interlock.TransmitLimits``."""

    bands: tuple[BandSection, ...] = ()
    max_transmission_ms: Positive = 100.0
    duty_cycle: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.1
    duty_window_s: Positive = 10.0
    hours: tuple[_TimeOfDay, _TimeOfDay] | None = None
    attenuation_db: Decibels = 0.0
    cabled: bool = False
    receive_damage_dbm: Decibels = -15.0
    damage_margin_db: NonNegative = 6.0
    lease_s: Positive = 2.0


def load_transmit_limits(places: Sequence[Path] = TRANSMIT_PLACES) -> TransmitLimits:
    """Limits of this host; without a configuration, none of its radios may send anything.

    Raises
    ------
    TransmitConfigurationError
        If the first configuration that exists is not sound, or others than its owner can write it.
    """
    for path in places:
        try:
            path.lstat()  # a link that leads nowhere is a configuration too, and a broken one
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise TransmitConfigurationError(path, [error.strerror or str(error)]) from error
        return _limits(path)
    source = f"write {' or '.join(str(place) for place in places)} to allow a band"
    return TransmitLimits(source=source)


def _limits(path: Path) -> TransmitLimits:
    if problem := _file_problem(path):
        raise TransmitConfigurationError(path, [problem])
    raw = read_yaml(path, TransmitConfigurationError)
    try:
        section = msgspec.convert({} if raw is None else raw, TransmitSection)
    except msgspec.ValidationError as error:
        raise TransmitConfigurationError(
            path, [readable(str(error), raw, TransmitSection)]
        ) from error
    if problems := _problems(section):
        raise TransmitConfigurationError(path, problems)
    fields = msgspec.structs.asdict(section)
    del fields["bands"], fields["hours"], fields["max_transmission_ms"]
    return TransmitLimits(
        bands=tuple(
            TransmitBand(band.low_mhz * 1e6, band.high_mhz * 1e6, band.max_power_dbm)
            for band in section.bands
        ),
        hours=None if section.hours is None else (_hour(section.hours[0]), _hour(section.hours[1])),
        max_transmission_s=section.max_transmission_ms * 1e-3,
        source=f"the limits of this host are set in {path}",
        **fields,
    )


def _file_problem(path: Path) -> str | None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return error.strerror or str(error)
    if not stat.S_ISREG(mode):
        return "must be a file"
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        permissions = stat.S_IMODE(mode)
        return f"others than its owner can write it (mode {permissions:o}); run: chmod 644 {path}"
    return None


def _problems(section: TransmitSection) -> list[str]:
    """Broken rules beyond those of each field, one line each."""
    values = {f"$.{name}": value for name, value in msgspec.structs.asdict(section).items()}
    problems = []
    for n, band in enumerate(section.bands):
        values |= {f"$.bands[{n}].{k}": value for k, value in msgspec.structs.asdict(band).items()}
        if not band.low_mhz < band.high_mhz:
            problems.append(
                f"$.bands[{n}]: low_mhz must be below high_mhz, got {band.low_mhz:g} and "
                f"{band.high_mhz:g}"
            )
    problems += [
        f"{place}: must be a finite number, got {value}"
        for place, value in values.items()
        if isinstance(value, float) and not math.isfinite(value)
    ]
    if section.hours is not None and section.hours[0] == section.hours[1]:
        problems.append(
            f"$.hours: {section.hours[0]} to {section.hours[1]} is no time at all; leave hours out "
            "for always"
        )
    return problems


def _hour(time_of_day: str) -> float:
    hours, minutes = time_of_day.split(":")
    return int(hours) + int(minutes) / 60.0
