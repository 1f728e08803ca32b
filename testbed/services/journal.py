"""What each sensing of a job brought, kept so that the job can go on after its coordinator died."""

import struct
import zlib
from collections.abc import Collection
from pathlib import Path

import msgspec

from fusion.network import Network
from fusion.sensing import SensingConfig
from testbed.bus.job_messages import SensedFields
from testbed.errors import written_to
from testbed.runs.links import Links, Sensed
from testbed.services.conversion import sensed_of_fields

_HEAD = struct.Struct("<II")  # length and CRC-32 of what follows
_MOST_BYTES = 1 << 24


class JournalError(Exception):
    """A journal that does not belong to its job."""


class Journal:
    """Entries of one job, in a file that only grows.

    An entry counts once it is whole: what a writer that was killed began is cut off. It is handed
    to the system before the sensing is fused, which survives the process, not the host's power.

    Parameters
    ----------
    path
        The file; made if it is not there.

    Attributes
    ----------
    entries
        Of those who wrote before.
    """

    def __init__(self, path: Path) -> None:
        content = path.read_bytes() if path.exists() else b""
        self.entries, size = whole_entries(content)
        self._path = path
        self._file = path.open("r+b" if path.exists() else "w+b", buffering=0)
        self._file.truncate(size)
        self._file.seek(size)

    def add(self, entry: SensedFields) -> None:
        """Keep an entry.

        Raises
        ------
        UsageError
            If it cannot be written.
        """
        payload = msgspec.msgpack.encode(entry)
        left = memoryview(_HEAD.pack(len(payload), zlib.crc32(payload)) + payload)
        with written_to(self._path):
            while left:
                left = left[self._file.write(left) :]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def whole_entries(content: bytes) -> tuple[list[SensedFields], int]:
    """Entries up to the first that is not whole, and how many bytes they take."""
    entries: list[SensedFields] = []
    place = 0
    while place + _HEAD.size <= len(content):
        length, check = _HEAD.unpack_from(content, place)
        payload = content[place + _HEAD.size : place + _HEAD.size + length]
        if length > _MOST_BYTES or len(payload) < length or zlib.crc32(payload) != check:
            break
        try:
            entry = msgspec.msgpack.decode(payload, type=SensedFields)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            break
        if entry.index != len(entries):
            break
        entries.append(entry)
        place += _HEAD.size + length
    return entries, place


class JournaledLinks:
    """Links that first give what the journal holds, then what is sensed, which it keeps (`Links`).

    Parameters
    ----------
    links
        Where sensings come from.
    journal
        Of the job.
    """

    def __init__(self, links: Links, journal: Journal) -> None:
        self._links = links
        self._journal = journal
        self._absent: list[str] = []

    @property
    def network(self) -> Network:
        """As of the links behind."""
        return self._links.network

    @property
    def detection_snr(self) -> float:
        """As of the links behind."""
        return self._links.detection_snr

    def absent(self, index: int) -> Collection[str]:
        """Who was out of reach then, or is now."""
        if index < len(self._journal.entries):
            return self._journal.entries[index].absent
        self._absent = sorted(self._links.absent(index))
        return self._absent

    def sense(self, config: SensingConfig, index: int) -> Sensed:
        """What that sensing brought, or brings now.

        Raises
        ------
        JournalError
            If another sensing was planned then.
        """
        if index < len(self._journal.entries):
            entry = self._journal.entries[index]
            if entry.config != config:
                msg = (
                    f"sensing {index + 1} was {entry.config.tx_id} -> "
                    f"{', '.join(entry.config.rx_ids)}, now another one is planned: the site file "
                    "or this version is another one; start the job again"
                )
                raise JournalError(msg)
            return sensed_of_fields(entry)
        sensed = self._links.sense(config, index)
        if not sensed.unheard:
            self._journal.add(
                SensedFields(
                    index=index,
                    absent=self._absent,
                    config=config,
                    reports=[look.report for look in sensed.looks],
                    problems=sensed.problems,
                )
            )
        return sensed
