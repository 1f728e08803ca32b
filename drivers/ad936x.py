"""The AD936x transceiver of Pluto and USRP E320: what its data sheet says.

Analog Devices AD9361 data sheet, revision G, and UG-570; Ettus knowledge base, "E320". Powers are
nominal: typical values, a few decibels off from unit to unit and over frequency. A lab measures
its own.
"""

from drivers.tuning import Range

# Pluto with its AD9363 tuned as an AD9361 or AD9364; the synthesizer itself reaches 46.875 MHz.
CARRIER_RANGE_HZ: Range = (70e6, 6e9)
# Without the FIR's decimation; the converters' lowest rate is 25 MHz / 48.
SAMPLE_RATE_RANGE_HZ: Range = (25e6 / 48.0, 61.44e6)
MAX_BANDWIDTH_HZ = 56e6

# Attenuation of the transmitter in its steps, as a gain below its strongest output.
TX_ATTENUATION_RANGE_DB: Range = (-89.75, 0.0)
TX_GAIN_STEP_DB = 0.25
# Full gain table above 4 GHz (-10 to 62) and between 1.3 and 4 GHz (-3 to 71).
RX_GAIN_RANGE_HIGH_BAND_DB: Range = (-10.0, 62.0)
RX_GAIN_RANGE_MID_BAND_DB: Range = (-3.0, 71.0)
# Below 1.3 GHz.
RX_GAIN_RANGE_LOW_BAND_DB: Range = (-1.0, 73.0)
_MID_BAND_FROM_HZ = 1.3e9
_HIGH_BAND_FROM_HZ = 4e9

# Strongest output of a tone: 8 dBm at 800 MHz, 7.5 at 2.4 GHz, 6.5 at 5.5 GHz.
TX_FULL_SCALE_DBM = 7.0
# Input that fills the converter at 0 dB of gain, on a board without amplifiers.
RX_FULL_SCALE_DBM = 0.0
# Absolute maximum rating of the receive inputs.
RECEIVE_DAMAGE_DBM = 2.5


def rx_gain_range_db(carrier_hz: float) -> Range:
    """Gains of the receiver at a carrier, in decibels."""
    if carrier_hz >= _HIGH_BAND_FROM_HZ:
        return RX_GAIN_RANGE_HIGH_BAND_DB
    if carrier_hz >= _MID_BAND_FROM_HZ:
        return RX_GAIN_RANGE_MID_BAND_DB
    return RX_GAIN_RANGE_LOW_BAND_DB
