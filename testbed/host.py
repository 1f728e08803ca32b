from drivers.interlock import TransmitLimits


def load_transmit_limits():
    return TransmitLimits()
