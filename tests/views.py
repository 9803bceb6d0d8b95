"""A view as a supervisor leaves it."""

from evenkeel.adapters.state_folder import StateFolder
from evenkeel.adapters.view import view_writer


def leave(folder: StateFolder, view: bytes) -> None:
    writer = view_writer(folder.view)
    writer.put(view)
    writer.close()
