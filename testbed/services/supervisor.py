"""The processes of a testbed on one machine: started in order, kept, and stopped in order."""

import asyncio
import logging
import os
from collections.abc import Coroutine, Sequence

from testbed.services.child import Child, ChildSpec, ChildState, Patience, StartError
from testbed.services.child_process import ChildProcess, all_ended

__all__ = ["ChildSpec", "ChildState", "Patience", "StartError", "Supervisor"]

_KILL_S = 1.0

_log = logging.getLogger(__name__)


class Supervisor:
    """Starts children group by group, starts again what dies, and stops all in reverse.

    No child outlives it, however it ends: their standard input is a pipe that ends with it, which
    `testbed.services.lifetime.stopping` looks at. Their output goes to the log, as it is.

    Parameters
    ----------
    groups
        Each is started when the one before it serves.

    Attributes
    ----------
    ready
        Set when all serve for the first time.
    """

    def __init__(
        self, groups: Sequence[Sequence[ChildSpec]], patience: Patience | None = None
    ) -> None:
        self._patience = patience or Patience()
        self._groups = [[Child(spec, self._patience) for spec in group] for group in groups]
        self.ready = asyncio.Event()
        self._keeping: set[asyncio.Task[None]] = set()
        self._begun: list[list[Child]] = []

    def children(self) -> list[ChildState]:
        """How all children are, in the order of their start."""
        return [child.state for group in self._groups for child in group]

    async def restart(self, name: str) -> None:
        """Stop a child, start it again, and wait until it serves.

        Raises
        ------
        StartError
            If there is no child of that name, or it does not get ready.
        """
        named = {child.spec.name: child for group in self._begun for child in group}
        if name not in named:
            msg = f"no child {name!r} runs here; there are {', '.join(named)}"
            raise StartError(msg)
        await named[name].restart()

    async def serve(self, stop: asyncio.Event) -> None:
        """Run all children until told to stop, and then stop them.

        Raises
        ------
        StartError
            If a child cannot be started, or does not get ready.
        """
        lifeline, lifeline_end = os.pipe()
        try:
            for group in self._groups:
                self._begun.append(group)
                self._keeping |= {asyncio.create_task(child.keep(lifeline)) for child in group}
                await self._unless(stop, self._until_ready(group))
                if stop.is_set():
                    return
            self.ready.set()
            await self._unless(stop, asyncio.Event().wait())
        finally:
            await self._end()
            os.close(lifeline)
            os.close(lifeline_end)

    async def _unless(self, stop: asyncio.Event, wanted: Coroutine[None, None, object]) -> None:
        """Wait for something, but no longer than until told to stop, or a child cannot be kept."""
        waiting = {asyncio.create_task(wanted), asyncio.create_task(stop.wait())}
        try:
            done, _ = await asyncio.wait(
                {*waiting, *self._keeping}, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _until_ready(self, group: Sequence[Child]) -> None:
        try:
            async with asyncio.timeout(self._patience.start_s):
                for child in group:
                    await child.ready.wait()
        except TimeoutError:
            msg = "\n".join(
                f"{child.spec.name} does not serve {self._patience.start_s:g} s after its start: "
                f"{child.last_words}"
                for child in group
                if not child.ready.is_set()
            )
            raise StartError(msg) from None

    async def _end(self) -> None:
        """Stop all: the groups one after the other, each with its share of the time."""
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self._patience.stop_s
        for num_left in range(len(self._begun), 0, -1):
            processes = _running(self._begun[num_left - 1])
            for process in processes:
                process.ask_to_end()
            await all_ended(processes, (end_s - loop.time()) / num_left)
        everybody = [child for group in self._begun for child in group]
        await all_ended(_running(everybody), end_s - loop.time())
        for child in everybody:
            for process in _running([child]):
                _log.warning(
                    "child %s is killed: it has not ended within %g s",
                    child.spec.name, self._patience.stop_s,
                )  # fmt: skip
                process.kill()
        await all_ended(_running(everybody), _KILL_S)


def _running(children: Sequence[Child]) -> list[ChildProcess]:
    processes = [child.process for child in children if child.process is not None]
    return [process for process in processes if not process.ended.is_set()]
