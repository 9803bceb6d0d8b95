"""A task of Windows' Task Scheduler that starts `evenkeel watchdog` when its user logs on.

A terminal with a window needs a session, so it is no service of session 0. Elements and their values: Microsoft's Task
Scheduler schema (taskType). Nobody has run it yet.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import Final
from xml.etree import ElementTree

from evenkeel.commands.service.places import MARK

NAMESPACE: Final = "http://schemas.microsoft.com/windows/2004/02/mit/task"
SETTINGS: Final = (
    ("MultipleInstancesPolicy", "IgnoreNew"),
    ("DisallowStartIfOnBatteries", "false"),
    ("StopIfGoingOnBatteries", "false"),
    ("AllowHardTerminate", "true"),
    ("StartWhenAvailable", "true"),
    ("AllowStartOnDemand", "true"),
    ("Enabled", "true"),
    ("ExecutionTimeLimit", "PT0S"),
    ("Priority", "5"),
)
"""No limit of time, on batteries too. Priority 7, the default of tasks, is below normal."""


def task(account: str, command: Sequence[str], *, folder: Path, user: str) -> bytes:
    """The definition, UTF-16 as schtasks wants it. `user` is DOMAIN\\NAME or NAME."""
    root = ElementTree.Element("Task", {"version": "1.2", "xmlns": NAMESPACE})
    about = _child(root, "RegistrationInfo")
    _child(about, "Description", f"{MARK}. evenkeel, account {account}: the watchdog, which starts the supervisor.")
    trigger = _child(_child(root, "Triggers"), "LogonTrigger")
    _child(trigger, "Enabled", "true")
    _child(trigger, "UserId", user)
    principal = _child(_child(root, "Principals"), "Principal")
    principal.set("id", "Author")
    _child(principal, "UserId", user)
    _child(principal, "LogonType", "InteractiveToken")
    _child(principal, "RunLevel", "LeastPrivilege")
    settings = _child(root, "Settings")
    for name, value in SETTINGS:
        _child(settings, name, value)
    failure = _child(settings, "RestartOnFailure")
    _child(failure, "Interval", "PT1M")
    _child(failure, "Count", "3")
    actions = _child(root, "Actions")
    actions.set("Context", "Author")
    action = _child(actions, "Exec")
    _child(action, "Command", command[0])
    _child(action, "Arguments", subprocess.list2cmdline(command[1:]))
    _child(action, "WorkingDirectory", str(folder))
    ElementTree.indent(root)
    text = '<?xml version="1.0" encoding="UTF-16"?>\n' + ElementTree.tostring(root, "unicode") + "\n"
    return text.replace("\n", "\r\n").encode("utf-16")


def next_steps(account: str, path: Path) -> list[str]:
    name = f"evenkeel {account}"
    return [
        f'schtasks /Create /TN "{name}" /XML "{PureWindowsPath(path)}"',
        f'schtasks /Run /TN "{name}"',
        f'schtasks /Query /TN "{name}" /V /FO LIST',
    ]


def steps_before_removal(account: str) -> list[str]:
    return [f"evenkeel stop --account {account}", f'schtasks /Delete /TN "evenkeel {account}"']


def _child(parent: ElementTree.Element, name: str, text: str | None = None) -> ElementTree.Element:
    child = ElementTree.SubElement(parent, name)
    child.text = text
    return child
