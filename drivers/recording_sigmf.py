"""SigMF metadata of records and collections, made and checked with the ``sigmf`` package."""

from collections.abc import Sequence
from pathlib import Path

from drivers.recording_files import COLLECTION, DATATYPE, RecordingError, kind_of
from drivers.recording_schema import (
    NAMESPACE,
    NAMESPACE_VERSION,
    IqFields,
    PilotsFields,
    sealed_namespace,
)

_DESCRIPTIONS = {
    "iq": "IQ samples of one block, full scale is magnitude 1; one channel an antenna element",
    "pilots": "Demodulated pilots; one row a subcarrier, one channel an antenna element",
}


class SigmfText:
    """SigMF metadata as text, made and checked with the ``sigmf`` package.

    Raises
    ------
    RecordingError
        If the package is not installed.
    """

    def __init__(self) -> None:
        try:
            import sigmf
            from jsonschema.validators import validator_for
        except ImportError as error:
            msg = (
                f"recordings are written with SigMF: {error}; pip install 'isac-testbed[recording]'"
            )
            raise RecordingError(msg) from error
        self._sigmf = sigmf
        # SigMFFile.validate() checks the schema itself every time, which takes 12 ms a record.
        schema = sigmf.schema.get_schema()
        self._validator = validator_for(schema)(schema)

    def record(self, fields: IqFields | PilotsFields, sha512: str | None) -> bytes:
        """Metadata of a record.

        Raises
        ------
        ValueError
            If a field holds what cannot be recorded.
        """
        is_iq = isinstance(fields, IqFields)
        extension = {"name": NAMESPACE, "version": NAMESPACE_VERSION, "optional": is_iq}
        fixed = {
            "core:datatype": DATATYPE,
            "core:num_channels": max(1, fields.shape[1]),
            "core:recorder": fields.software,
            "core:description": _DESCRIPTIONS[kind_of(fields)],
            "core:collection": COLLECTION,
            "core:extensions": [extension],
        }
        carrier_hz = fields.waveform.carrier_hz
        if isinstance(fields, IqFields):
            fixed["core:sample_rate"] = float(fields.tuning.sample_rate_hz)
            carrier_hz = fields.tuning.carrier_hz
        data = {"core:metadata_only": True} if sha512 is None else {"core:sha512": sha512}
        sealed = sealed_namespace(fields, sha512)
        metadata = self._sigmf.SigMFFile(global_info={**fixed, **data, **sealed})
        metadata.add_capture(0, {"core:frequency": float(carrier_hz)})
        self._validator.validate(metadata.ordered_metadata())
        return f"{metadata.dumps()}\n".encode("ascii")

    def collection(self, root: Path, names: Sequence[str]) -> bytes:
        """A collection that lists metadata files of a directory."""
        collection = self._sigmf.SigMFCollection(metafiles=list(names), base_path=root)
        return f"{collection.dumps()}\n".encode("ascii")
