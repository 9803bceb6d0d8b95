"""A unit of systemd's user manager that starts `evenkeel watchdog`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from evenkeel.commands.exit_codes import MEANINGS
from evenkeel.commands.service.places import MARK

WATCHDOG_S: Final = 60
START_MINUTES: Final = 10
"""The terminal may take long to connect, and the watchdog says READY when the supervisor serves."""
STOP_MINUTES: Final = 15
"""A flatten is finished before the end."""
HARDENING: Final = (
    *("NoNewPrivileges=yes", "LockPersonality=yes", "RestrictRealtime=yes", "RestrictSUIDSGID=yes", "RestrictNamespaces=yes"),
    *(
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        "SystemCallArchitectures=native",
        "UMask=0077",
        "LimitCORE=0",
    ),
)
"""What a user manager can do by itself: sandboxes of the file system need rights that it may lack, and then nothing starts."""


def unit(
    account: str, command: Sequence[str], *, folder: Path, values: Mapping[str, str] = {}, names: Sequence[str] = ()
) -> str:
    """The text of the unit. `values` are variables that are set, `names` those that the manager hands on from its own."""
    restarts = " ".join(str(meaning.status) for meaning in MEANINGS if meaning.restart)
    lines = [
        f"# {MARK}; written again it is replaced. Your own changes: systemctl --user edit evenkeel-{account}",
        "[Unit]",
        f"Description=evenkeel, account {account}",
        "Documentation=man:systemd.service(5)",
        "StartLimitIntervalSec=10min",
        "StartLimitBurst=5",
        "",
        "[Service]",
        "Type=notify",
        "NotifyAccess=main",
        f"ExecStart={' '.join(map(quoted, command))}",
        f"WorkingDirectory={_specifiers(str(folder))}",
        *(f"Environment={quoted(f'{name}={value}', is_command=False)}" for name, value in values.items()),
        *([f"PassEnvironment={' '.join(names)}"] if names else []),
        f"WatchdogSec={WATCHDOG_S}s",
        f"TimeoutStartSec={START_MINUTES}min",
        f"TimeoutStopSec={STOP_MINUTES}min",
        "# One stop signal, to the watchdog alone: it ends the others in order.",
        "KillMode=mixed",
        "# Of exit statuses only this one asks for a new start; a signal and a hang do too.",
        "Restart=on-abnormal",
        "RestartSec=5s",
        f"RestartForceExitStatus={restarts}",
        *HARDENING,
        "",
        "[Install]",
        "WantedBy=default.target",
    ]
    return "\n".join(lines) + "\n"


def quoted(word: str, *, is_command: bool = True) -> str:
    """One word of a unit's line; in a command a dollar is doubled too (systemd.service(5), "Command lines")."""
    escaped = _specifiers(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped.replace("$", "$$") if is_command else escaped}"'


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")


def next_steps(account: str) -> list[str]:
    unit_name = f"evenkeel-{account}.service"
    return [
        "systemctl --user daemon-reload",
        f"systemctl --user enable --now {unit_name}",
        "loginctl enable-linger          # else it ends when you log out",
        f"journalctl --user -u {unit_name} -f",
    ]


def steps_before_removal(account: str) -> list[str]:
    return [f"systemctl --user disable --now evenkeel-{account}.service"]
