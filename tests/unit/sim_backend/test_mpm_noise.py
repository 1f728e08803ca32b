"""What is no protocol, at every socket of the software USRP."""

import random
import socket

import msgpack
import pytest

from sim_backend.mpm import chdr, control, management
from sim_backend.mpm.chdr import Kind, Packet
from tests.unit.sim_backend.mpm_client import FINITE, connected, software_usrp


def mangled(rng: random.Random) -> bytes:
    """Half of the time noise, else something that begins as a packet does."""
    noise = rng.randbytes(rng.randrange(0, 120))
    if rng.random() < 0.5:
        return noise
    kind = rng.choice(list(Kind))
    payload = rng.choice(
        [
            noise,
            management.packed(
                management.Management(
                    rng.randrange(65536),
                    tuple(
                        tuple(
                            management.Operation(rng.randrange(10), rng.getrandbits(48))
                            for _ in range(rng.randrange(1, 4))
                        )
                        for _ in range(rng.randrange(4))
                    ),
                )
            ),
            control.packed(
                control.Control(
                    rng.randrange(3), rng.randrange(65536), rng.randrange(16),
                    rng.choice([rng.getrandbits(20), 0x1000 + rng.randrange(0x100)]),
                    tuple(rng.getrandbits(32) for _ in range(rng.randrange(1, 15))),
                    tick=rng.choice([None, rng.getrandbits(rng.randrange(1, 65))]),
                )
            ),
        ]
    )  # fmt: skip
    tick = rng.getrandbits(64) if kind is Kind.TIMED_DATA else None
    return chdr.packed(Packet(kind, rng.randrange(5), payload, rng.randrange(65536), tick))


@pytest.mark.parametrize("seed", range(4))
def test_nothing_that_comes_in_stops_a_device(seed):
    rng = random.Random(seed)  # noqa: S311  # nothing here is secret
    with software_usrp() as usrp, connected(usrp) as client:
        noise = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with noise:
            for _ in range(1500):
                noise.sendto(mangled(rng), client.data.getpeername())
                noise.sendto(rng.randbytes(rng.randrange(40)), (client.host, client.discovery_port))
        for _ in range(30):
            with socket.create_connection((client.host, client.rpc_port)) as caller:
                caller.sendall(rng.randbytes(200))
            name = rng.choice(["claim", "set_timekeeper_time", "db_0_set_gain", "nonsense"])
            arguments = [client.token, *rng.sample([1, -1, "x", None, 1e300], 3)]
            for call in ([0, 1, name, arguments], [0, 1, name, "x"], [0], {}, 5, [0, [], [], []]):
                with socket.create_connection((client.host, client.rpc_port)) as caller:
                    caller.sendall(msgpack.packb(call))
        assert all(thread.is_alive() for thread in usrp._threads)
        client.ask("unclaim")  # which forgets what waits for its time
        client.left.clear()
        client.connect()
        client.open_receive(0)
        client.receive(0, FINITE, 1000, None)
        assert sum(client.block()[1]) == 1000
