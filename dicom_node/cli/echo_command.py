"""`echo`: do the destinations answer?"""

from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import typer

from dicom_node.cli.destination_names import require_configured
from dicom_node.cli.options import ConfigOption, read_config
from dicom_node.config import Config, Destination
from dicom_node.errors import ConfigError, NodeError
from dicom_node.listening import written

AT_ONCE = 16


def echo(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names of destinations; all when none is given.", show_default=False)
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Ask destinations whether they answer (C-ECHO), as the node calls them: with its AE title, TLS and timeout."""
    settings = read_config(config)
    chosen = _chosen(settings, names or [])
    silent = 0
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        for destination, trouble in zip(chosen, pool.map(lambda each: _trouble(settings, each), chosen), strict=True):
            silent += bool(trouble)
            way = f"{destination.ae_title} at {written(destination.host, destination.port)}"
            typer.echo(f"{destination.name}, {way}: {trouble or 'answers'}")
    if silent:
        raise NodeError(
            f"{silent} of {len(chosen)} destinations did not answer {settings.node.ae_title} as they should"
        )


def _chosen(settings: Config, names: list[str]) -> list[Destination]:
    known = {destination.name: destination for destination in settings.destinations}
    if not known:
        raise ConfigError("the configuration has no destination to ask: add [[destinations]]")
    for name in names:
        require_configured(name, settings)
    return [known[name] for name in dict.fromkeys(names)] or list(known.values())


def _trouble(settings: Config, destination: Destination) -> str:
    """What is wrong with a destination, and what to do about it; empty where it answers."""
    from dicom_node.config.tls import tls_client_of
    from dicom_node.dimse.line import Peer
    from dicom_node.dimse.scu import StoreScu

    peer = Peer(host=destination.host, port=destination.port, ae_title=destination.ae_title)
    try:
        tls = tls_client_of(settings, destination)
        StoreScu(peer, calling_ae=settings.node.ae_title, timeout=destination.timeout, tls=tls).echo()
    except NodeError as error:
        advice = "; correct its host" if isinstance(error.__cause__, OSError) else ""
        return f"{str(error).removeprefix(f'{peer} ')}{advice}"
    except RuntimeError:  # pynetdicom's word for an association that ended before the question was asked
        return "it took the association and closed it at once: see its log"
    return ""
