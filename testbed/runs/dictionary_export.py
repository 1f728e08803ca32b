"""Entries of a background dictionary for other programs: NumPy arrays, and a table as CSV."""

import csv
import io
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from calibration.dictionary import BackgroundDictionary
from calibration.dictionary_entry import (
    DictionaryError,
    Entry,
    EntryHeader,
    RadioIdentity,
    array_bytes,
)
from calibration.dictionary_survey import EntrySummary, summary_of
from calibration.entry_drift import EntryDrift
from calibration.link_geometry import EndGeometry
from calibration.whole_files import write_atomically
from testbed.errors import UsageError, written_to

_MOST_NAMED = 8
Value = str | int | float | None


def summary_row(summary: EntrySummary) -> dict[str, Value]:
    """What is known of an entry, flat, units in the names; ``None`` what is not known."""
    header, learned_with = summary.header, summary.header.learned_with
    return {
        "tx_location": header.tx_location,
        "rx_location": header.rx_location,
        "num_tones": header.shape[0],
        "num_elements": header.shape[1],
        "mean_power_db": summary.mean_power_db,
        "noise_db": summary.noise_db,
        "power_over_noise_db": summary.power_over_noise_db,
        "delay_is_absolute": header.delay_is_absolute,
        "delay_var_s2": header.delay_var_s2,
        "config_epoch": header.config_epoch,
        "num_captures": header.num_captures,
        "tx_id": learned_with.tx_id,
        "rx_id": learned_with.rx_id,
        **_radio("tx", learned_with.tx_radio),
        **_radio("rx", learned_with.rx_radio),
        **_end("tx", None if header.geometry is None else header.geometry.transmitter),
        **_end("rx", None if header.geometry is None else header.geometry.receiver),
        "carrier_hz": learned_with.carrier_hz,
        "subcarrier_spacing_hz": learned_with.subcarrier_spacing_hz,
        "noise_var": learned_with.noise_var,
        "own_noise_var": learned_with.own_noise_var,
        "waveform_hash": header.waveform_hash,
        "content_hash": header.content_hash,
        "provenance_hash": header.provenance_hash,
        "software": header.software,
        "host": header.host,
        "created": header.created,
        **_drift(summary.drift),
    }


def _drift(drift: EntryDrift | None) -> dict[str, Value]:
    """What was seen since it was learned."""
    echo = None if drift is None else drift.echo
    return {
        "captures_seen": None if drift is None else drift.num_captures,
        "last_seen": None if drift is None else drift.last,
        "seen_noise_db": None if drift is None else drift.noise_db,
        "seen_outside_db": None if drift is None else drift.outside_db,
        "lasting_echo_range_m": None if echo is None else echo.range_m,
        "lasting_echo_votes": None if echo is None else echo.votes,
        "drifts_because": None if drift is None else drift.reason,
    }


def _radio(end: str, radio: RadioIdentity | None) -> dict[str, Value]:
    return {
        f"{end}_radio_kind": None if radio is None else radio.kind,
        f"{end}_radio_serial": None if radio is None else radio.serial,
    }


def _end(name: str, end: EndGeometry | None) -> dict[str, Value]:
    x_m, y_m = (None, None) if end is None else end.position_m
    return {
        f"{name}_x_m": x_m,
        f"{name}_y_m": y_m,
        f"{name}_boresight_rad": None if end is None else end.boresight_rad,
        f"{name}_antenna": None if end is None else end.antenna,
    }


def frequency_offset_hz(header: EntryHeader) -> np.ndarray | None:
    """Tones relative to the carrier, shape ``(K,)``; ``None`` where their spacing is not known."""
    spacing_hz = header.learned_with.subcarrier_spacing_hz
    if spacing_hz is None:
        return None
    num_tones = header.shape[0]
    return (np.arange(num_tones) - (num_tones - 1) / 2.0) * spacing_hz


def entry_of(dictionary: BackgroundDictionary, tx_location: str, rx_location: str) -> Entry:
    """Entry of a link.

    Raises
    ------
    UsageError
        If there is none; the message names those that there are, or the nearest.
    DictionaryError
        If it is damaged.
    """
    try:
        return dictionary.get(tx_location, rx_location)
    except KeyError as error:
        wanted = f"{tx_location} -> {rx_location}"
        msg = f"{dictionary.root}: no entry {wanted}; {_there_are(_links(dictionary), wanted)}"
        raise UsageError(msg) from error


def _links(dictionary: BackgroundDictionary) -> list[str]:
    """Links of all entries whose headers can be read."""
    found = []
    for path in dictionary.header_paths():
        try:
            header = dictionary.header(path)
        except DictionaryError:
            continue
        found.append(f"{header.tx_location} -> {header.rx_location}")
    return found


def _there_are(links: Sequence[str], wanted: str) -> str:
    if not links:
        return "it has no entries yet; run testbed calibrate"
    if len(links) <= _MOST_NAMED:
        return f"there are {', '.join(links)}"
    nearest = get_close_matches(wanted, links, n=3, cutoff=0.0)
    return f"nearest of {len(links)} are {', '.join(nearest)}; testbed dictionary show lists all"


def export_entry(entry: Entry, path: Path, *, force: bool = False) -> None:
    """Write an entry to ``.npy``, the channel alone, or ``.npz``, with all that is known of it.

    In ``.npz`` the fields of `summary_row`, without those that are not known, stand beside
    ``channel``, shape ``(K, M)``, and ``frequency_offset_hz``, shape ``(K,)``.

    Raises
    ------
    UsageError
        If the name ends otherwise, or the file is there and not to be replaced.
    """
    if path.suffix == ".npy":
        _write(path, array_bytes(entry.channel), force=force)
    elif path.suffix == ".npz":
        known: dict[str, Any] = {
            name: np.array(value)
            for name, value in summary_row(summary_of(entry)).items()
            if value is not None
        }
        offset_hz = frequency_offset_hz(entry.header)
        if offset_hz is not None:
            known["frequency_offset_hz"] = offset_hz
        stream = io.BytesIO()
        np.savez(stream, channel=entry.channel, **known)
        _write(path, stream.getvalue(), force=force)
    else:
        msg = f"{path}: an entry is written to .npy or .npz, got {path.suffix!r}"
        raise UsageError(msg)


def export_summaries(summaries: Sequence[EntrySummary], path: Path, *, force: bool = False) -> None:
    """Write a row an entry as CSV, with `summary_row` as columns; empty what is not known.

    Raises
    ------
    UsageError
        If the file is there and not to be replaced, or there is no entry.
    """
    rows = [summary_row(summary) for summary in summaries]
    if not rows:
        raise UsageError(f"{path}: not written, because the dictionary has no whole entry")
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    _write(path, text.getvalue().encode(), force=force)


def _write(path: Path, content: bytes, *, force: bool) -> None:
    if path.exists() and not (force and path.is_file()):
        remedy = ", or add --force" if path.is_file() else ""
        msg = f"{path}: is there already; name another file{remedy}"
        raise UsageError(msg)
    with written_to(path):
        write_atomically(path, content)
