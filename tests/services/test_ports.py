import os
import socket

import pytest

from pulpo.errors import PulpoError
from pulpo.services import ports

from .conftest import echo, free_port


@pytest.fixture
def listener():
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening


def test_a_free_port_is_free():
    """Nothing listens: no error."""
    ports.check([echo("api")])


def test_the_holder_of_a_port_is_found(listener):
    """The process that listens: its id and command."""
    port = listener.getsockname()[1]
    assert ports.is_taken("127.0.0.1", port)
    assert ports.holder(port).pid == os.getpid()
    with pytest.raises(PulpoError, match=f"process {os.getpid()} ") as taken:
        ports.check([echo("api", port=port)])
    assert taken.value.code == "PULPO701"


def test_a_listener_on_all_addresses_takes_the_port_too():
    """0.0.0.0 includes 127.0.0.1."""
    with socket.socket() as listening:
        listening.bind(("0.0.0.0", 0))
        listening.listen()
        assert ports.is_taken("127.0.0.1", listening.getsockname()[1])


def test_a_listener_where_localhost_looks_first_takes_the_port_too():
    """`curl localhost` asks ::1 before 127.0.0.1, so a stranger there would answer in the API's place."""
    with socket.socket(socket.AF_INET6) as listening:
        try:
            listening.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6 loopback")
        listening.listen()
        assert ports.is_taken("127.0.0.1", listening.getsockname()[1])


def test_a_connection_that_lingers_does_not_take_the_port(listener):
    """After its listener is gone a port may be used again at once, whatever old connections wait for."""
    port = listener.getsockname()[1]
    client = socket.create_connection(("127.0.0.1", port))
    server, _ = listener.accept()
    server.close()
    client.close()
    listener.close()
    assert not ports.is_taken("127.0.0.1", port)


def test_a_port_that_nobody_holds_has_no_holder():
    """None, where nothing listens."""
    assert ports.holder(free_port()) is None
