"""Which nodes sit out for a while because their links keep failing."""

from collections.abc import Collection, Sequence

from fusion.sensing import MIN_NODES, SensingConfig

# One lost capture, or two, happen to every radio: one that loses every tenth loses three in a row
# once in a thousand.
FAILURES_IN_A_ROW = 3
# Long enough that a node which stays broken spoils one sensing in six at most; short enough that
# one which was restarted is back within a usual budget of ten.
SENSINGS_OUT = 5


class Candidates:
    """Decides from what sensings brought which nodes had better not take part.

    A capture that does not come or cannot be used speaks against both of its nodes, once a
    sensing: one burst is one trial. A good one acquits both. A node with `FAILURES_IN_A_ROW` sits
    `SENSINGS_OUT` sensings out and may try again then: one more failure, and it sits out again.

    Parameters
    ----------
    node_ids
        All nodes; of equally bad ones the first stay, where some must.
    """

    def __init__(self, node_ids: Sequence[str]) -> None:
        self._failures = dict.fromkeys(node_ids, 0)
        self._out_until = dict.fromkeys(node_ids, 0)
        self._num_sensings = 0

    def update(
        self, config: SensingConfig, failed: Collection[str], gone: Collection[str] = ()
    ) -> None:
        """Take in what one sensing brought.

        Parameters
        ----------
        failed
            Receivers without a usable capture.
        gone
            Nodes known to be gone: what failed because of them speaks against nobody.
        """
        self._num_sensings += 1
        heard = [rx_id for rx_id in config.rx_ids if rx_id not in failed]
        guilty = [rx_id for rx_id in config.rx_ids if rx_id in failed and rx_id not in gone]
        if not heard:
            guilty = [] if config.tx_id in gone else _guilty_of_silence(config.tx_id, guilty)
        for node_id in guilty:
            self._failures[node_id] += 1
            if self._failures[node_id] >= FAILURES_IN_A_ROW:
                self._out_until[node_id] = self._num_sensings + SENSINGS_OUT
        for node_id in (config.tx_id, *heard) if heard else ():
            self._failures[node_id] = self._out_until[node_id] = 0

    def absent(self, gone: Collection[str] = ()) -> frozenset[str]:
        """Nodes that had better not take part in the next sensing, and those that are gone.

        Two of the others stay in any case: those with the fewest failures.
        """
        here = [node_id for node_id in self._failures if node_id not in gone]
        out = [node_id for node_id in here if self._out_until[node_id] > self._num_sensings]
        num_missing = max(MIN_NODES - (len(here) - len(out)), 0)
        worst_last = sorted(out, key=self._failures.__getitem__)
        return frozenset(gone).union(worst_last[num_missing:])


def _guilty_of_silence(tx_id: str, silent: Sequence[str]) -> list[str]:
    """Whom it speaks against that no receiver heard anything."""
    if len(silent) == 1:
        return [tx_id, *silent]
    # Several receivers that fail at once are less likely than one transmitter.
    return [tx_id] if silent else []
