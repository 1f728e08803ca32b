"""Radios of an air process: the contract, the same bits as in one process, and what goes wrong."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import msgspec
import numpy as np
import pytest

from drivers.capture import Capture
from drivers.contract import Bench, NotApplicableError, verdict_of
from drivers.contract_checks import CHECKS
from drivers.radio import RadioSpec
from drivers.radio_errors import RadioError, RadioLostError, RadioNotFoundError
from drivers.tuning import Tuning
from sim_backend.impairments import PRESETS
from testbed.build import Overrides, build_burst, build_calibration_burst, build_nodes, overridden
from testbed.bus.air_messages import ANSWERS, REQUESTS, Advance, Done
from testbed.bus.sockets import Caller, NoAnswerError, Server
from testbed.bus.wire import Codec
from testbed.radio_source import RadioSource
from testbed.radios import open_radios
from testbed.remote_radio import AirLink, RemoteRadio, RemoteWorld
from testbed.runs.setup import opened_setup
from testbed.site import Site, load_site
from tests.contract.airs import PATIENCE_S, running_air

LAB = Path(__file__).parents[2] / "examples" / "lab.yaml"
TUNING = Tuning(5.8e9, 30.72e6, 40.0, 60.0)
SEED = 3
LIMIT = 1 << 20


def lab(preset: str, **changes: dict) -> Site:
    raw = msgspec.to_builtins(overridden(load_site(LAB), Overrides(impairments=preset)))
    for name, values in changes.items():
        raw[name].update(values)
    return msgspec.convert(raw, Site)


@pytest.fixture(scope="module")
def links() -> Iterator[dict[str, AirLink]]:
    """Connections to one air of each preset."""
    with ExitStack() as opened:
        yield {preset: opened.enter_context(linked(lab(preset))) for preset in PRESETS}


@contextmanager
def linked(site: Site) -> Iterator[AirLink]:
    with running_air(site, SEED) as address, closing(AirLink(address)) as link:
        yield link


def radio_of(link: AirLink, node_id: str = "a") -> RemoteRadio:
    return RemoteWorld(link, 1).open_radio(RadioSpec(node_id, 8))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_remote_radio_keeps_the_contract(links, preset, check):
    bench = Bench(radio_of(links[preset]), TUNING)
    with suppress(NotApplicableError):
        check(bench)
    bench.radio.close()


@pytest.mark.parametrize("preset", ["ideal", "pluto"])
def test_the_whole_suite_runs_on_one_radio(links, preset):
    bench = Bench(radio_of(links[preset]), TUNING)
    verdicts = [verdict_of(check, bench) for check in CHECKS]
    assert [v for v in verdicts if v.outcome == "broken"] == []
    left_out = {v.check for v in verdicts if v.outcome == "not applicable"}
    if preset == "pluto":
        assert left_out == {"starts on time", "reports late blocks", "sends on time"}
    else:
        assert left_out == {"refuses times it cannot keep"}


FAULTY = {"faults": [{"kind": k, "probability": 0.3} for k in ("timeout", "late_receive")]}


@pytest.mark.parametrize(
    ("site", "num_rounds"),
    [
        (lab("lab", calibration={"fresh_tuning": True}), 3),
        (lab("pluto", waveform={"num_symbols": 4}), 1),  # bursts without common time take long
        (lab("lab", simulation=FAULTY), 3),
    ],
    ids=["lab", "untimed", "faults"],
)
def test_captures_are_those_of_one_process_bit_for_bit(site, num_rounds):
    with ExitStack() as opened:
        here = opened.enter_context(opened_setup(site, SEED, "iq"))
        link = opened.enter_context(linked(site))
        for session, theirs in ((0, here.earlier), (1, here.source)):
            ours = source_of(site, RemoteWorld(link, session), theirs.origin)
            opened.callback(ours.close)
            captures = heard(ours, num_rounds)
            for one, other in zip(captures, heard(theirs, num_rounds), strict=True):
                assert np.array_equal(one.rx_pilots, other.rx_pilots)
                assert facts(one) == facts(other)
            if site.simulation.faults:
                said = " ".join(capture.quality.fault or "" for capture in captures)
                assert "did not deliver its block in time" in said
                assert "reached the device too late" in said
            else:
                assert {capture.quality.problem for capture in captures} == {None}


def source_of(site: Site, world: RemoteWorld, origin: str) -> RadioSource:
    nodes = build_nodes(site, SEED)
    return RadioSource(
        nodes, open_radios(site, nodes, {"sim": world.open_radio}), build_burst(site), origin,
        calibration_burst=build_calibration_burst(site),
        fresh_tuning=site.calibration.fresh_tuning, world=world, wait_s=world.wait_s,
    )  # fmt: skip


def heard(source, num_rounds: int) -> list[Capture]:
    captures: list[Capture] = []
    for index in range(num_rounds):
        captures += source.sense("a", ("e", "d"), index)
        captures += source.sense_background("b", ("a",), index)
        captures += source.sense_background("b", ("c",), index, brief=True)
    return captures


def facts(capture: Capture) -> list:
    return [getattr(capture, name) for name in Capture.__slots__ if name != "rx_pilots"]


def test_a_node_that_is_opened_again_gets_a_fresh_radio_and_the_old_one_obeys_no_more(links):
    link = links["ideal"]
    before = radio_of(link)
    before.configure(TUNING)
    after = radio_of(link)
    with pytest.raises(RadioLostError, match=r"its node was opened again.*open it again"):
        before.time_ticks()
    with pytest.raises(RadioError, match="no tuning yet"):
        after.time_ticks()
    after.configure(TUNING)
    before.close()
    after.time_ticks()


def test_a_radio_of_an_air_that_was_started_again_is_lost_until_it_is_opened_again():
    with ExitStack() as opened:
        with running_air(lab("ideal"), SEED) as address:
            link = opened.enter_context(closing(AirLink(address)))
            before = radio_of(link)
        with running_air(lab("ideal"), SEED, address):
            with pytest.raises(RadioLostError, match="or the air process started"):
                before.configure(TUNING)
            assert radio_of(link).configure(TUNING) == TUNING


def test_a_node_that_is_not_there_is_named(links):
    with pytest.raises(RadioNotFoundError, match=r"no node 'z\\n' in this air.*same site"):
        radio_of(links["ideal"], "z\n")


@pytest.mark.parametrize("duration_s", [-1.0, float("nan"), float("inf"), 1e9])
def test_time_does_not_go_back_or_away(links, duration_s):
    with pytest.raises(RadioError, match="time moves on by 0 to"):
        RemoteWorld(links["ideal"], 1).wait_s(duration_s)


def test_what_nobody_expects_costs_one_request_only(links, caplog):
    radio = radio_of(links["ideal"])
    radio.configure(TUNING)
    burst = np.full(100, 0.5, dtype=np.complex64)
    with pytest.raises(RadioError, match="the air process failed: OverflowError"):
        radio.transmit(burst, None, float("inf"))
    assert "Transmit failed" in caplog.text
    radio.transmit(burst)


def test_a_message_that_is_none_is_dropped_and_the_air_goes_on(caplog):
    with (
        running_air(lab("ideal"), SEED) as address,
        Caller(address, max_frame_bytes=LIMIT) as caller,
    ):
        caller.send([b"\xc1 rubbish"])
        with pytest.raises(NoAnswerError):
            caller.receive(0.3)
        with closing(AirLink(address)) as link:
            RemoteWorld(link, 0).wait_s(1.0)
    assert "dropped a message: not a message" in caplog.text


def test_an_air_that_is_not_there_is_a_radio_that_is_lost():
    # "discard", which nothing serves today
    with (
        closing(AirLink("tcp://127.0.0.1:9", timeout_s=0.2)) as link,
        pytest.raises(RadioLostError, match="nobody answers at"),
    ):
        radio_of(link)


def test_an_answer_that_comes_late_is_not_taken_for_another_s():
    """Two requests are answered together, when nobody waits for the first any more."""
    addresses: list[str] = []
    bound, codec = threading.Event(), Codec(REQUESTS, max_buffer_bytes=LIMIT)

    async def answer_two_at_once() -> None:
        server = Server("tcp://127.0.0.1:*", max_frame_bytes=LIMIT)
        addresses.append(server.address)
        bound.set()
        asked = [await server.receive() for _ in range(2)]
        for peer, frames in asked:
            number = codec.decode(frames).message.request_id
            server.send(peer.identity, codec.encode(Done(request_id=number)))
        await server.receive()  # the third says that the answers have arrived
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(answer_two_at_once()))
    thread.start()
    assert bound.wait(PATIENCE_S)
    with closing(AirLink(addresses[0], timeout_s=0.3)) as link:
        with pytest.raises(RadioLostError):
            link.ask(Done, Advance, session=0, duration_s=1.0)
        link.ask(Done, Advance, session=0, duration_s=2.0, timeout_s=PATIENCE_S)
        assert link.num_late == 1
        with pytest.raises(RadioLostError):
            link.ask(Done, Advance, session=0, duration_s=3.0)
        thread.join(PATIENCE_S)


def test_every_answer_and_request_is_of_one_kind():
    assert not {kind.__name__ for kind in REQUESTS} & {kind.__name__ for kind in ANSWERS}
