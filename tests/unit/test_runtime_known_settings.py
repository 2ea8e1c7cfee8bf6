import pytest
from miradouro.core.errors import ConfigurationError
from miradouro.runtime.known_settings import check_names


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("MIRADOURO_LISTENS", "did you mean MIRADOURO_LISTEN?"),
        ("MIRADOURO_KAFKA_BOOTSTRAP_SERVERS", "did you mean MIRADOURO_KAFKA_BOOTSTRAP?"),
        ("MIRADOURO_TLS_CERTFILE", "did you mean MIRADOURO_TLS_CERT_FILE?"),
        ("MIRADOURO_TOKEN", "did you mean MIRADOURO_TOKEN_FILE?"),
        ("MIRADOURO_XYZZY", "docs/settings.md lists them"),
        ("MIRADOURO_LISTEN_PORT", "did you mean MIRADOURO_LISTEN?"),
    ],
)
def test_a_misspelt_setting_error_suggests_the_right_one(name, refusal):
    with pytest.raises(ConfigurationError) as caught:
        check_names({"PATH": "/bin", "MIRADOURO_LISTEN": "127.0.0.1:0", name: "x"})
    assert str(caught.value) == f"{name} is set, and there is no such setting: {refusal}"


def test_settings_of_all_processes_may_coexist():
    check_names(
        {
            "MIRADOURO_KAFKA_TOPIC": "t",
            "MIRADOURO_OPENSEARCH_URL": "u",
            "MIRADOURO_BUNDLES": "b",
            "MIRADOURO_TEST_KAFKA": "127.0.0.1:1",
            "MIRADOURO_EMBEDDING_PORT": "tcp://10.0.0.1:50051",
            "MIRADOURO_EMBEDDING_PORT_50051_TCP": "tcp://10.0.0.1:50051",
            "MIRADOURO_EMBEDDING_PORT_50051_TCP_ADDR": "10.0.0.1",
            "MIRADOURO_EMBEDDING_SERVICE_HOST": "10.0.0.1",
            "MIRADOURO_EMBEDDING_SERVICE_PORT": "50051",
            "MIRADOURO_EMBEDDING_SERVICE_PORT_GRPC": "50051",
            "MIRADOURO": "x",
            "HOME": "/",
        }
    )
