"""What clients can call on a device over msgpack-rpc."""

import re
from collections.abc import Callable, Mapping
from typing import Any, get_args

from sim_backend.mpm.chdr import TICK_MASK
from sim_backend.mpm.claim import Claim, RefusedError
from sim_backend.mpm.front_end import FrontEnd, Way
from sim_backend.mpm.identity import Identity
from sim_backend.mpm.timekeeper import Reference, Source

_BUS_CLOCK_HZ, _CONTROL_CLOCK_HZ = 200e6, 40e6
_CHDR_WIDTH_BITS, _CHDR_VERSION, _MTU_BYTES, _LINK_BYTES_PER_S = 64, 0x100, 8000, 1_250_000_000
_SOURCES: tuple[Source, ...] = get_args(Source)
_REFERENCES: tuple[Reference, ...] = get_args(Reference)
_CHAIN = re.compile(r"(RX|TX)([12])")
_TEMPERATURE_C = "40.0"
# Settings that change nothing here; what they are set to is not asked for.
_IGNORED = (
    "db_0_set_dc_offset_auto", "db_0_set_iq_balance_auto", "db_0_set_agc", "db_0_set_agc_mode",
    "db_0_set_active_chains", "db_0_set_timing_mode", "db_0_data_port_loopback", "set_channel_mode",
    "set_tick_period", "reset_timer_and_mgr", "enable_pps_out", "set_gpio_src",
)  # fmt: skip

Method = Callable[..., Any]


class Methods:
    """Every call a client can make, by name.

    Parameters
    ----------
    identity
        What the device says of itself.
    chdr_address
        Host and port of the data.
    set_device_id
        Called with the number that a client gives to the device.
    """

    def __init__(
        self,
        identity: Identity,
        front_end: FrontEnd,
        claim: Claim,
        chdr_address: tuple[str, int],
        set_device_id: Callable[[int], None],
    ) -> None:
        self._identity = identity
        self._front_end = front_end
        self._timekeeper = front_end.timekeeper
        self._claim = claim
        self._chdr_address = chdr_address
        self._set_device_id = set_device_id
        self._open = self._open_methods()
        self._claimed = {
            **dict.fromkeys(_IGNORED, lambda *_: None),
            **self._device_methods(),
            **self._time_methods(),
            **self._board_methods(),
            **self._sensor_methods(),
        }

    def call(self, name: str, arguments: list[Any]) -> Any:
        """What a method answers.

        Raises
        ------
        RefusedError
            If there is none of the name, or its token is not that of the claim.
        TypeError, ValueError, LookupError, ArithmeticError
            For arguments that it cannot take.
        """
        if name in self._open:
            return self._open[name](*arguments)
        if name not in self._claimed:
            msg = f"there is no method {name!r} on this software device"
            raise RefusedError(msg)
        token, *rest = arguments
        if not self._claim.renew(token):
            msg = f"{name}: this token does not hold the device"
            raise RefusedError(msg)
        return self._claimed[name](*rest)

    def _open_methods(self) -> Mapping[str, Method]:
        """Methods for which no claim is needed."""
        identity = self._identity
        return {
            "ping": lambda *words: words[0] if words else "",
            "claim": lambda _who: self._claim.take(),
            "reclaim": self._claim.renew,
            "unclaim": self._claim.release,
            "get_mpm_compat_num": lambda: list(identity.mpm_compat),
            "get_device_info": lambda: identity.device_info(self._claim.is_held),
            "get_dboard_info": lambda: [identity.daughterboard()],
            "get_last_error": lambda *_: "",
            "get_chdr_width": lambda: _CHDR_WIDTH_BITS,
            "get_proto_ver": lambda: _CHDR_VERSION,
            "list_updateable_components": list,
        }

    def _device_methods(self) -> Mapping[str, Method]:
        host, port = self._chdr_address
        link = {
            "iface": "lo", "ipv4": host, "port": str(port), "link_rate": str(_LINK_BYTES_PER_S),
            "type": "forward", "mtu": str(_MTU_BYTES),
        }  # fmt: skip
        return {
            "init": lambda *_: True,
            "get_init_status": lambda: ["true", "No errors."],
            "get_log_buf": list,
            "set_device_id": lambda number: self._set_device_id(int(number)),
            "supports_feature": lambda _name: False,
            "get_chdr_link_types": lambda: ["udp"],
            "get_chdr_link_options": lambda _kind: [dict(link)],
            "get_gpio_banks": list,
            "get_mb_eeprom": self._identity.motherboard,
            "get_db_eeprom": lambda _slot: self._identity.daughterboard(),
        }

    def _time_methods(self) -> Mapping[str, Method]:
        keeper = self._timekeeper

        def set_time(_number: int, ticks: int, at_next_pulse: bool) -> None:
            if not 0 <= ticks <= TICK_MASK:
                msg = f"a time has 0 to 2^64 - 1 ticks, got {ticks}"
                raise RefusedError(msg)
            (keeper.set_at_next_pulse if at_next_pulse else keeper.set_now)(int(ticks))

        def set_sources(sources: Mapping[str, str]) -> None:
            for of in _REFERENCES:
                if f"{of}_source" in sources:
                    self._set_source(of, sources[f"{of}_source"])

        return {
            "get_num_timekeepers": lambda: 1,
            "get_timekeeper_time": lambda _number, last: (
                (keeper.time_at_last_pulse() if last else keeper.time()) & TICK_MASK
            ),
            "set_timekeeper_time": set_time,
            "get_clock_sources": lambda: list(_SOURCES),
            "get_time_sources": lambda: list(_SOURCES),
            "get_clock_source": lambda: keeper.source("clock"),
            "get_time_source": lambda: keeper.source("time"),
            "set_clock_source": lambda source, *_: self._set_source("clock", source),
            "set_time_source": lambda source, *_: self._set_source("time", source),
            "get_sync_source": lambda: {f"{of}_source": keeper.source(of) for of in _REFERENCES},
            "get_sync_sources": lambda: [
                {"clock_source": clock, "time_source": time}
                for clock in _SOURCES
                for time in _SOURCES
            ],
            "set_sync_source": set_sources,
        }

    def _board_methods(self) -> Mapping[str, Method]:
        front_end = self._front_end

        def set_gain(chain: str, gain_db: float) -> float:
            way, channel = _parsed_chain(chain)
            return front_end.set_gain(way, channel, gain_db)

        def clocks() -> list[dict[str, str]]:
            return [
                {"name": "radio_clk", "freq": str(self._timekeeper.rate_hz), "mutable": "true"},
                {"name": "bus_clk", "freq": str(_BUS_CLOCK_HZ)},
                {"name": "ctrl_clk", "freq": str(_CONTROL_CLOCK_HZ)},
            ]

        return {
            "get_clocks": clocks,
            "db_0_get_master_clock_rate": lambda: self._timekeeper.rate_hz,
            "db_0_set_catalina_clock_rate": front_end.set_rate,
            "db_0_set_gain": set_gain,
            "db_0_catalina_tune": lambda chain, carrier_hz: front_end.set_carrier(
                _parsed_chain(chain)[0], carrier_hz
            ),
            "db_0_set_bw_filter": lambda _chain, bandwidth_hz: float(bandwidth_hz),
        }

    def _sensor_methods(self) -> Mapping[str, Method]:
        def board_sensor(name: str) -> dict[str, str]:
            if name == "ref_locked":
                return _lock_sensor(name, self._timekeeper.is_locked)
            if name == "temp_fpga":
                return _sensor(name, "REALNUM", "C", _TEMPERATURE_C)
            msg = f"there is no sensor {name!r}"
            raise RefusedError(msg)

        def front_end_sensor(_way: str, name: str, _channel: int = 0) -> dict[str, str]:
            if name != "lo_locked":
                msg = f"there is no sensor {name!r}"
                raise RefusedError(msg)
            return _lock_sensor(name, True)

        return {
            "get_mb_sensors": lambda: ["ref_locked", "temp_fpga"],
            "get_mb_sensor": board_sensor,
            "db_0_get_sensors": lambda *_: ["lo_locked"],
            "db_0_get_sensor": front_end_sensor,
        }

    def _set_source(self, of: Reference, source: str) -> None:
        if source not in _SOURCES:
            msg = f"the {of} source is one of {', '.join(_SOURCES)}, got {source!r}"
            raise RefusedError(msg)
        self._timekeeper.set_source(of, source)


def _parsed_chain(chain: str) -> tuple[Way, int]:
    """Way and channel of a chain's name, as ``RX2``."""
    found = _CHAIN.fullmatch(chain)
    if found is None:
        msg = f"chains are RX1, RX2, TX1 and TX2, got {chain!r}"
        raise RefusedError(msg)
    return ("rx" if found[1] == "RX" else "tx"), int(found[2]) - 1


def _sensor(name: str, kind: str, unit: str, value: str) -> dict[str, str]:
    return {"name": name, "type": kind, "unit": unit, "value": value}


def _lock_sensor(name: str, is_locked: bool) -> dict[str, str]:
    return _sensor(
        name, "BOOLEAN", "locked" if is_locked else "unlocked", "true" if is_locked else "false"
    )
