import socket

import pytest
from miradouro.core.errors import ConfigurationError
from miradouro.runtime.addresses import Address, guarded_address, is_loopback_target, peer_host
from miradouro.runtime.grpc_server import running
from miradouro.runtime.security import OPEN_TO_ALL

from tests.echo_service import Echo, service


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.168.1.5:50051", "10.0.0.1:1"])
def test_an_exposed_address_names_its_missing_settings(listen):
    with pytest.raises(ConfigurationError, match=r"MIRADOURO_X_LISTEN=.*set MIRADOURO_TLS_CERT_FILE, .*KEY_FILE, .*TOKEN_FILE"):
        running([service(Echo())], security=OPEN_TO_ALL, listen=listen, setting="MIRADOURO_X_LISTEN").__enter__()


def test_an_exposed_address_with_all_settings_is_accepted():
    assert guarded_address("0.0.0.0:50051", setting="X", missing=[]) == Address("0.0.0.0", 50051)
    assert str(guarded_address("[::]:0", setting="X", missing=[]).here) == "[::1]:0"
    with pytest.raises(ConfigurationError, match=r"set MIRADOURO_TOKEN_FILE, or listen on 127\.0\.0\.1"):
        guarded_address("10.0.0.1:1", setting="X", missing=["MIRADOURO_TOKEN_FILE"])


def test_a_host_name_is_no_listening_address():
    with pytest.raises(ConfigurationError, match=r"X='example\.org:80': 'example\.org' is no IP address"):
        guarded_address("example.org:80", setting="X", missing=[])


@pytest.mark.parametrize(
    ("target", "is_here"),
    [
        ("127.0.0.1:1", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        ("127.9.9.9:1", True),
        ("0.0.0.0:1", False),
        ("localhost.example.org:1", False),
        ("dns:///127.0.0.1:1", False),
        ("photos:1", False),
        ("10.0.0.1:1", False),
    ],
)
def test_loopback_targets_are_recognised(target, is_here):
    assert is_loopback_target(target) is is_here


@pytest.mark.parametrize(
    ("peer", "host"),
    [("ipv4:127.0.0.1:50051", "127.0.0.1"), ("ipv6:%5B::1%5D:50051", "::1"), ("ipv6:[fe80::1%25eth0]:1", "fe80::1%eth0")],
)
def test_a_peer_is_an_address_without_its_port(peer, host):
    assert peer_host(peer) == host


@pytest.mark.parametrize("listen", ["", "127.0.0.1", "127.0.0.1:", ":50051", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:²"])
def test_a_malformed_address_is_refused_naming_the_setting(listen):
    with pytest.raises(ConfigurationError, match=r"MIRADOURO_X_LISTEN=.*host:port"):
        running([service(Echo())], security=OPEN_TO_ALL, listen=listen, setting="MIRADOURO_X_LISTEN").__enter__()


def test_a_port_in_use_is_a_clear_error():
    with (
        running([service(Echo())], security=OPEN_TO_ALL) as server,
        pytest.raises(ConfigurationError, match=f"X={str(server.address)!r}.*in use"),
    ):
        running([service(Echo())], security=OPEN_TO_ALL, listen=server.target, setting="X").__enter__()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match="in use"):
            running([service(Echo())], listen=f"127.0.0.1:{taken.getsockname()[1]}", security=OPEN_TO_ALL).__enter__()
