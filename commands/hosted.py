"""The outside of a live system whose terminal lives in another process: keeper, links, and what they are told."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from evenkeel.adapters.build import build_id
from evenkeel.adapters.control_frames import Deadline
from evenkeel.adapters.mt5.quotes import PolledSource
from evenkeel.adapters.os import write_durably
from evenkeel.adapters.state_folder import ENDPOINT_NAME, StateFolder
from evenkeel.adapters.terminal_host import verbs
from evenkeel.adapters.terminal_host.client import Connect, HostedBroker, HostLink
from evenkeel.adapters.terminal_host.keeper import LEASE_S, SILENT_S, START_S, HostDidNotStart, HostKeeper, local_connect
from evenkeel.commands.live import NEVER_EPOCH, LiveSystem, Outside, symbols_of
from evenkeel.config.load import canonical
from evenkeel.config.schema import Config
from evenkeel.messages.market import SymbolSpec
from evenkeel.messages.operator import Mode
from evenkeel.runtime.clock import SteadyClock, SystemClock, monotonic_s

TERMS_S: Final = 60.0
"""How long the terminal may take until it tells the terms of every symbol."""
READ_S: Final = 10.0
CONNECT_S: Final = 180.0
"""The real package takes up to 160 s until it is connected, and answers nothing meanwhile (metatrader5.md 5)."""
ALONE_S: Final = 60.0
"""A host whose supervisor died ends by itself after that, unless a new one has come."""
RESOLVED_NAME: Final = "configuration.json"
_LOOK_AGAIN_S: Final = 0.25


class KeptHost:
    """The terminal host between two systems of one process: the next one goes on with it, so exits wait for no connection."""

    def __init__(self) -> None:
        self._left: subprocess.Popen[bytes] | None = None

    def take(self) -> subprocess.Popen[bytes] | None:
        left, self._left = self._left, None
        return left if left is not None and left.poll() is None else None

    def keep(self, process: subprocess.Popen[bytes] | None) -> None:
        self._left = process


def stays(before: Config, after: Config) -> bool:
    """The host need not read its configuration again: a real terminal knows its symbols itself, all else never changes."""
    return before.terminal.kind == "mt5" or symbols_of(before) == symbols_of(after)


def hosted(symbols: Sequence[str], *, kept: KeptHost) -> Callable[[LiveSystem], Outside]:
    """For real time: the host of this machine is started where none runs, one on another machine is used as it is.

    `kept` is the host of the segment before, and of the next.
    """

    def outside(system: LiveSystem) -> Outside:
        config, folder = system.config, system.folder
        connect, command = host_of(config, folder)
        brokers: list[HostedBroker] = []
        clock = SteadyClock(SystemClock(), not_before_utc_ms=system.last_utc_ms)

        def beat() -> verbs.Beat:
            answered = brokers[0].answered_intent_id if brokers else 0
            unresolved = tuple(sorted(system.gate.unresolved))[:1000]
            epoch = system.epoch()
            if epoch >= NEVER_EPOCH:  # unreadable for the moment: shut, but not for ever
                return verbs.Beat(Mode.CLOSE_ONLY, 0, answered, unresolved, clock.now_utc_ms())
            return verbs.Beat(system.gate.mode, epoch, answered, unresolved, clock.now_utc_ms())

        stamp = system.leases.grant("the keeper of the terminal host", LEASE_S)
        keeper = keeper_of(config, folder, connect, command, beat=beat, on_look=stamp, process=kept.take())

        def link(timeout_s: float) -> HostLink:
            return HostLink(connect, timeout_s, keeper.hung)

        links = [link(config.terminal.call_timeout_s), link(READ_S), link(READ_S)]
        brokers += [HostedBroker(links[0], links[1], beat=beat), HostedBroker(links[0], links[2])]
        keeper.start()
        try:
            specs = _terms(brokers[0], symbols, keeper)
        except BaseException:
            keeper.stop()
            raise

        def close() -> None:
            for one in links:
                one.close()
            keeper.stop()

        def leave() -> None:
            for one in links:
                one.close()
            kept.keep(keeper.leave())

        source = PolledSource(brokers[1], symbols, monotonic_s)
        patience_s = 2 * config.terminal.call_timeout_s
        made = Outside(specs, brokers[0], clock, source, close, patience_s=patience_s, leave=leave)
        return made._replace(host_ns=lambda: keeper.answered_ns)

    return outside


def keeper_of(
    config: Config,
    folder: StateFolder,
    connect: Connect,
    command: Sequence[str] | None,
    *,
    beat: Callable[[], verbs.Beat],
    on_look: Callable[[], None] = lambda: None,
    process: subprocess.Popen[bytes] | None = None,
) -> HostKeeper:
    """With the patience that this terminal needs. `process` is a host that another keeper has left."""
    is_real = config.terminal.kind == "mt5"
    return HostKeeper(
        connect,
        command,
        beat=beat,
        log=folder.terminal / "host.log",
        lock=folder.terminal / "lock",
        start_s=CONNECT_S if is_real else START_S,
        silent_s=config.terminal.call_timeout_s if is_real else SILENT_S,
        on_look=on_look,
        build=build_id(),
        process=process,
    )


def host_of(config: Config, folder: StateFolder) -> tuple[Connect, Sequence[str] | None]:
    """How to reach it, and what starts it; None where it is on another machine. Raises HostDidNotStart.

    A host that has to be started again, whenever that is, reads `config` as it is now: a person may be editing the file.
    """
    if not config.terminal.address:
        resolved = folder.terminal / RESOLVED_NAME
        write_durably(resolved, canonical(config))
        command = [sys.executable, "-m", "evenkeel.cli", "terminal", "--account", config.account.name]
        command += ["--alone-s", f"{ALONE_S:g}", "--resolved", str(resolved)]
        return local_connect(folder.terminal / ENDPOINT_NAME), command
    from evenkeel.adapters.terminal_host.pinned import PinInvalid, connector
    from evenkeel.commands.terminal import pins_of

    try:
        if not config.terminal.key_file:
            raise PinInvalid("set [terminal] key_file: the key that the host drew")
        return connector(config.terminal.address, pins_of(config.terminal), Path(config.terminal.key_file)), None
    except PinInvalid as error:
        raise HostDidNotStart(f"[terminal] address {config.terminal.address}: {error}") from error


def _terms(broker: HostedBroker, symbols: Sequence[str], keeper: HostKeeper) -> dict[str, SymbolSpec]:
    """Of every symbol; without them nothing can be sized. Raises HostDidNotStart."""
    from time import sleep

    deadline, specs = Deadline(TERMS_S), dict[str, SymbolSpec]()
    while True:
        for name in symbols:
            if name not in specs and (spec := broker.symbol(name)) is not None and broker.quote(name) is not None:
                specs[name] = spec
        missing = [name for name in symbols if name not in specs]
        if not missing:
            return {name: specs[name] for name in symbols}
        try:
            sleep(min(_LOOK_AGAIN_S, deadline.remaining_s()))
        except TimeoutError:
            why = f" ({keeper.refusal})" if keeper.refusal else ""
            raise HostDidNotStart(
                f"the terminal tells no terms or no quote of {', '.join(missing)}{why}; see evenkeel doctor"
            ) from None
