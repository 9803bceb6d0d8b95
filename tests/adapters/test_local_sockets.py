import sys
from pathlib import Path

import pytest

from evenkeel.adapters.local_sockets import connect, listen, supports_unix_sockets

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no unix sockets")


@posix
def test_a_path_too_long_for_a_unix_socket_becomes_tcp(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    listener, address = listen(folder / "socket", force_tcp=False)
    with listener, connect(address, 1.0):
        assert address.startswith("tcp:127.0.0.1:")


@posix
def test_a_unix_socket_replaces_one_that_was_left_behind(tmp_path: Path) -> None:
    assert supports_unix_sockets()
    for _ in range(2):
        listener, address = listen(tmp_path / "socket", force_tcp=False)
        with listener, connect(address, 1.0):
            assert address == f"unix:{tmp_path / 'socket'}"


@pytest.mark.parametrize("address", ["", "tcp:192.0.2.1:80", "tcp:127.0.0.1:http", "tcp:127.0.0.1:70000", "http://127.0.0.1"])
def test_only_addresses_of_this_machine_are_connected_to(address: str) -> None:
    with pytest.raises(ValueError):
        connect(address, 0.1)
