"""`miradouro health`: what probes ask, for machines that have no other program for it."""

import sys
from typing import Any

import click

from miradouro.runtime.addresses import open_address
from miradouro.runtime.settings import MetricsSettings, load, variable

_SETTING = variable("health_listen")
_ASKED_S = 5.0


@click.command()
@click.argument("service", default="")
def health(service: str) -> None:
    """Ask the service on this machine whether it would answer: exits with 0 if so, with 1 if not.

    It asks at MIRADOURO_HEALTH_LISTEN. SERVICE is a full name, as miradouro.v1.SearchService, or `liveness`; where none is
    named, all of them count.
    """
    from miradouro.core.errors import ConfigurationError

    listen = load(MetricsSettings).health_listen
    if not listen:
        raise ConfigurationError(f"{_SETTING} is not set; set it to the address that the service was given by it")
    target = str(open_address(listen, setting=_SETTING).here)
    status = _status(target, service)
    click.echo(f"{target} {service or 'all services'}: {status}")
    if status != "SERVING":
        sys.exit(1)


def _status(target: str, service: str) -> str:
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(target) as channel:  # plain by design: see MIRADOURO_HEALTH_LISTEN
        try:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=_ASKED_S)
        except grpc.RpcError as exc:
            code: grpc.StatusCode = exc.code()
            return "no such service" if code is grpc.StatusCode.NOT_FOUND else f"no answer ({code.name})"
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
