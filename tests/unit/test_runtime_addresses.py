import socket

import pytest
from miradouro.core.errors import ConfigurationError
from miradouro.runtime.grpc_server import running

from tests.echo_service import Echo, service


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.168.1.5:50051", "example.org:80", "10.0.0.1:1"])
def test_an_address_beyond_loopback_is_refused_naming_the_setting(listen):
    with pytest.raises(ConfigurationError, match=r"MIRADOURO_X_LISTEN=.*not authenticated"):
        running([service(Echo())], listen=listen, setting="MIRADOURO_X_LISTEN").__enter__()


@pytest.mark.parametrize("listen", ["", "127.0.0.1", "127.0.0.1:", ":50051", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:²"])
def test_a_malformed_address_is_refused_naming_the_setting(listen):
    with pytest.raises(ConfigurationError, match=r"MIRADOURO_X_LISTEN=.*host:port"):
        running([service(Echo())], listen=listen, setting="MIRADOURO_X_LISTEN").__enter__()


def test_a_port_in_use_is_a_clear_error():
    with running([service(Echo())]) as server, pytest.raises(ConfigurationError, match=f"X={str(server.address)!r}.*in use"):
        running([service(Echo())], listen=server.target, setting="X").__enter__()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match="in use"):
            running([service(Echo())], listen=f"127.0.0.1:{taken.getsockname()[1]}").__enter__()
