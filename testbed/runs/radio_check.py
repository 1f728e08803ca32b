"""The contract suite against a site's own radios, one after the other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from drivers.contract import Bench, Verdict, verdict_of
from drivers.contract_checks import CHECKS
from drivers.node import Node
from drivers.radio import Radio
from drivers.radio_errors import RadioError
from drivers.tuning import Tuning
from sim_backend.ether import Ether
from testbed.build import build_burst, build_nodes, build_scene
from testbed.gains import tx_gain_db
from testbed.radios import open_radios, simulated_radios
from testbed.site import Site


@dataclass(frozen=True)
class RadioReport:
    """What came of the checks of one node's radio.

    Attributes
    ----------
    node_id, kind, serial, software
        Whose radio, and who it is; ``None`` if it could not be opened.
    verdicts
        One a check, in order.
    error
        Why there are none.
    """

    node_id: str
    kind: str | None
    serial: str | None
    software: str | None
    verdicts: list[Verdict]
    error: str | None = None

    @property
    def broken(self) -> int:
        """Checks that the radio breaks; one if it could not be opened."""
        if self.error is not None:
            return 1
        return sum(verdict.outcome == "broken" for verdict in self.verdicts)


def check_radios(
    site: Site, node_ids: Sequence[str], announce: Callable[[str], None] = lambda _node: None
) -> Iterator[RadioReport]:
    """Open each node's radio alone, run all checks, close it.

    Parameters
    ----------
    announce
        Called with each node id before its radio is opened.
    """
    nodes = build_nodes(site, 0)
    factory = simulated_radios(site, Ether(build_scene(site, nodes, 0)))
    for node in nodes:
        if node.node_id not in node_ids:
            continue
        announce(node.node_id)
        try:
            radio = open_radios(site, [node], {"sim": factory})[node.node_id]
        except RadioError as error:
            yield RadioReport(node.node_id, None, None, None, [], str(error))
            continue
        yield _report(site, node, radio)


def _report(site: Site, node: Node, radio: Radio) -> RadioReport:
    info = radio.info
    try:
        bench = Bench(radio, _tuning(site, node, radio))
        verdicts = [verdict_of(check, bench) for check in CHECKS]
        return RadioReport(node.node_id, info.kind, info.serial, info.software, verdicts)
    except RadioError as error:
        return RadioReport(node.node_id, info.kind, info.serial, info.software, [], str(error))
    finally:
        radio.close()


def _tuning(site: Site, node: Node, radio: Radio) -> Tuning:
    """The site's own carrier and rate, as far as the radio reaches; gains in the middle."""
    able, burst = radio.info.capabilities, build_burst(site)
    return Tuning(
        carrier_hz=_within(burst.local_oscillator_hz, able.carrier_range_hz),
        sample_rate_hz=_within(burst.sample_rate_hz, able.sample_rate_range_hz),
        rx_gain_db=sum(able.rx_gain_range_db) / 2.0,
        tx_gain_db=_within(tx_gain_db(node, able, burst), able.tx_gain_range_db),
        clock_source="external" if able.external_clock else "internal",
        time_source="pps" if able.pps else "none",
    )


def _within(value: float, limits: tuple[float, float]) -> float:
    return min(max(value, limits[0]), limits[1])
