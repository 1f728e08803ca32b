"""Temperatures and supply voltages around the radio; they do not change."""

from sim_backend.iiod.attributes import Channel, Device, by_name, constant

_XADC_SUPPLIES = (
    ("vccint", "1387"), ("vccaux", "2455"), ("vccbram", "1383"), ("vccpint", "1387"),
    ("vccpaux", "2453"), ("vccoddr", "1856"), ("vrefp", "1721"), ("vrefn", "14"),
)  # fmt: skip
_XADC_SCALE_MV, _XADC_RATE_HZ = "0.732421875", "961538"


def processor_monitor(device_id: str, *, has_input: bool) -> Device:
    """The processor's own converter (XADC); 36 degrees.

    Parameters
    ----------
    has_input
        Whether a pin of it is connected.
    """
    temperature = by_name(
        constant("offset", "-2219"), constant("raw", "2512"), constant("scale", "123.040771484")
    )
    supplies = [
        Channel(
            f"voltage{index}",
            False,
            by_name(constant("raw", raw), constant("scale", _XADC_SCALE_MV)),
            name,
        )
        for index, (name, raw) in enumerate(_XADC_SUPPLIES)
    ]
    pin = by_name(constant("raw", "3296"), constant("scale", "0.244140625"))
    inputs = [Channel("voltage8", False, pin)] if has_input else []
    return Device(
        device_id,
        "xadc",
        (Channel("temp0", False, temperature), *supplies, *inputs),
        by_name(constant("sampling_frequency", _XADC_RATE_HZ)),
    )


def board_monitor(device_id: str) -> Device:
    """The converter on a carrier board (AD7291)."""
    temperature = by_name(
        constant("mean_raw", "137"), constant("raw", "138"), constant("scale", "250")
    )
    supplies = [
        Channel(
            f"voltage{index}",
            False,
            by_name(constant("raw", "1301"), constant("scale", "0.610351562")),
        )
        for index in range(8)
    ]
    return Device(device_id, "ad7291", (Channel("temp0", False, temperature), *supplies))
