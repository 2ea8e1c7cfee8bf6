"""`miradouro dev`: what developers run."""

import signal
import sys
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

    if not (kafka or opensearch):
        raise click.UsageError("nothing is left to run; leave out --no-kafka or --no-opensearch")
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


@dev.command()
@click.option(
    "--kafka", is_flag=False, flag_value="", metavar="[HOST:PORT]", help="A Kafka that runs; without an address one is started."
)
@click.option(
    "--opensearch", is_flag=False, flag_value="", metavar="[URL]", help="An OpenSearch that runs; without a URL one is started."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where the sample photos are kept. Default: `demo` in the user's cache folder of miradouro.",
)
def demo(*, kafka: str | None, opensearch: str | None, folder: Path | None) -> None:
    """Lead sample photos through Kafka into OpenSearch, and ask both engines forty questions.

    The three services run as processes of their own. Photos change and go on the way. Then the audit runs, the same events go
    into an embedded index, and ten questions of each kind (keyword, text, photo, region) are put to both. Exits with 1 unless the
    audit finds nothing and every answer agrees. `miradouro demo` is the one without Kafka and OpenSearch.
    """
    import tempfile

    import platformdirs

    from miradouro.bundles.progress import default_progress
    from miradouro.bundles.settings import BundleSettings
    from miradouro.cli.options import settings_of
    from miradouro.core.printable import printable
    from miradouro.development.demo.tour import demonstrate
    from miradouro.embedding.settings import EmbeddingSettings
    from miradouro.runtime.settings import load
    from miradouro.standalone.demo.samples import gather
    from miradouro.standalone.models import open_or_pull

    if kafka is None or opensearch is None:
        raise click.UsageError("name both --kafka and --opensearch; `miradouro demo` needs neither")
    settings_of()
    photos = (folder or platformdirs.user_cache_path("miradouro") / "demo").absolute() / "photos"
    gather(photos, progress=default_progress())
    networks = load(EmbeddingSettings)
    open_or_pull(networks.bundles, precision=lambda _: networks.precision, folder=load(BundleSettings).folder, offline=False)
    with tempfile.TemporaryDirectory(prefix="miradouro-demo-") as place:
        done = demonstrate(photos, Path(place), kafka=kafka, opensearch=opensearch, progress=click.echo)
    for violation in done.report.violations:
        click.echo(printable(f"{violation.invariant} {violation.name}: {violation.photo_id}: {violation.message}"))
    for one in done.asked:
        verdict = "agrees" if one.agreement.holds else "DIFFERS"
        click.echo(printable(f"{one.kind:<8} {one.question:<32} {verdict}: {one.agreement.summary}"))
    agreed = sum(one.agreement.holds for one in done.asked)
    click.echo(f"{agreed} of {len(done.asked)} answers agree; the audit {'holds' if done.report.holds else 'does not hold'}")
    if not done.holds:
        sys.exit(1)
