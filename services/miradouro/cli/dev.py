"""`miradouro dev`: what developers run."""

import signal
from contextlib import ExitStack
from pathlib import Path

import click


@click.group()
def dev() -> None:
    """Run real engines on this machine, for development."""


@dev.command()
@click.option("--kafka/--no-kafka", default=True, help="With or without Kafka.")
@click.option("--opensearch/--no-opensearch", default=True, help="With or without OpenSearch.")
@click.option("--brokers", type=click.IntRange(1, 9), default=1, show_default=True, help="Kafka brokers.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/engines"),
    show_default=True,
    help="Where data and logs are kept; what is there is used again.",
)
def engines(*, kafka: bool, opensearch: bool, brokers: int, folder: Path) -> None:
    """Run Kafka and OpenSearch with k-NN until SIGTERM or Ctrl-C.

    Their jars come from Maven Central at the first run; a JDK of version 21 or newer and Maven are needed. Prints the settings
    that let our services, and the tests, use them.
    """
    from miradouro.development.engines import start_kafka, start_opensearch

    stop = {signal.SIGINT, signal.SIGTERM}
    with ExitStack() as running:
        if kafka:
            click.echo("starting Kafka …", err=True)
            cluster = running.enter_context(start_kafka(folder.resolve() / "kafka", brokers=brokers))
            click.echo(f"export MIRADOURO_KAFKA_BOOTSTRAP={cluster.bootstrap} MIRADOURO_TEST_KAFKA={cluster.bootstrap}")
        if opensearch:
            click.echo("starting OpenSearch …", err=True)
            node = running.enter_context(start_opensearch(folder.resolve() / "opensearch"))
            click.echo(f"export MIRADOURO_OPENSEARCH_URL={node.url} MIRADOURO_TEST_OPENSEARCH={node.url}")
        click.echo(f"running; logs in {folder}; Ctrl-C ends them", err=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, stop)  # not earlier: the engines would inherit it
        signal.sigwait(stop)
