"""The small parts of a process: sockets, control messages, the ready-file, the data directory."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycryptoutil.errors import StartupError
from pycryptoutil.http.message import Listener
from pycryptoutil.service import control, prepare, ready, sockets
from pycryptoutil.service.control import Message
from pycryptoutil.service.definition import ServiceDefinition
from pycryptoutil.service.ready import Ready, ServiceAddress
from pycryptoutil.service.settings import PlainSettings, ServiceSettings
from pycryptoutil.service.sockets import Address


def test_addresses_take_the_service_defaults() -> None:
    definition = ServiceDefinition("pki-ca", "PKI", "CA", 8443, 9091, (), lambda _: None, plain_port=8444)
    found = {a.listener: a.port for a in sockets.addresses(definition, ServiceSettings())}
    assert found == {Listener.PUBLIC: 8443, Listener.ADMIN: 9091}
    with_plain = ServiceSettings(plain=PlainSettings(enabled=True))
    assert {a.listener: a.port for a in sockets.addresses(definition, with_plain)}[Listener.PLAIN] == 8444


def test_failed_bind_leaves_no_socket_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            free = probe.getsockname()[1]
        wanted = [
            Address("a", Listener.PUBLIC, "127.0.0.1", free),
            Address("b", Listener.ADMIN, "127.0.0.1", taken.getsockname()[1]),
        ]
        with pytest.raises(StartupError, match=r"\(b admin\): the port is in use"):
            sockets.bind(wanted)
        bound = sockets.bind(wanted[:1])  # free again
        assert bound["a", Listener.PUBLIC].getsockname() == ("127.0.0.1", free)
        bound["a", Listener.PUBLIC].close()


def test_address_that_is_not_this_machine() -> None:
    with pytest.raises(StartupError, match="this machine has no such address"):
        sockets.bind([Address("a", Listener.PUBLIC, "192.0.2.1", 0)])


def test_control_messages_go_through_a_pair() -> None:
    left, right = control.pair()
    with left, right:
        for message in (Message("unseal", share="s"), Message("workers", ready=1, wanted=2)):
            left.send(message.encode())
            assert Message.decode(right.recv(control.MAX_PACKET)) == message
    assert "secret-share" not in repr(Message("unseal", share="secret-share"))


@given(st.binary(max_size=200) | st.from_type(dict[str, str]).map(lambda found: json.dumps(found).encode()))
def test_what_is_no_message_is_refused(packet: bytes) -> None:
    try:
        Message.decode(packet)
    except ValueError:
        return
    assert json.loads(packet)["kind"] in {"ready", "shutdown", "unseal", "seal", "workers", "stop"}


def test_ready_file_is_private_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "run" / "ready.json"
    address = ServiceAddress("https://a", "https://b", 7)
    for plain in ("", "http://c"):
        services = {"x": ServiceAddress(address.public, address.admin, address.pid, plain)}
        ready.write(path, Ready(services, Path("/ca"), Path("/admin"), Path("/data")))
        document = json.loads(path.read_bytes())
        assert document["services"]["x"].get("plain", "") == plain
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [found.name for found in path.parent.iterdir()] == ["ready.json"]
    assert ready.addresses(document["services"])["x"] == services["x"]
    ready.remove(path)
    ready.remove(path)
    assert not path.exists()


def test_private_file_is_not_written_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    path = tmp_path / "admin.json"
    path.symlink_to(victim)
    ready.write_private(path, "secret")
    assert victim.read_text() == "untouched"
    assert not path.is_symlink()


def test_data_directory_others_may_write_to(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    prepare.data_directory(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    with pytest.raises(StartupError, match="writable by others"):
        prepare.data_directory(folder)
