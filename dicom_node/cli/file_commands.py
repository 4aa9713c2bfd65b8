"""`classify`, `import` and `send`: work on files and folders, with a progress bar for people."""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dicom_node.cli.options import (
    ConfigOption,
    JsonOption,
    checked_ae_title,
    checked_host,
    opened_eye,
    opened_ledger,
    read_config,
    refuse_stray_ledger,
)
from dicom_node.cli.paths import path_to_read
from dicom_node.clock import utc_now
from dicom_node.config import find_config_file
from dicom_node.config.folders import refuse_for_another
from dicom_node.config.security import DestinationTlsSection
from dicom_node.errors import (
    DeliveryError,
    NodeError,
    OutOfResourcesError,
    RefusedError,
    TransientError,
    UndecodableError,
)
from dicom_node.media import MediaFile, media_files
from dicom_node.verdict import Outcome, Sighting

if TYPE_CHECKING:
    from dicom_node.dimse.scu import StoreScu
    from dicom_node.eye import Eye

Paths = Annotated[
    list[Path], typer.Argument(parser=path_to_read, help="Files, folders, DICOMDIR media or zip archives.")
]

T = TypeVar("T")

PASSED_OVER = "passed over"


def classify(paths: Paths, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say which region each DICOM, PNG or JPEG file shows; with --json one object per line."""
    settings = read_config(config)
    images, unreadable = 0, 0
    with opened_eye(settings) as eye, media_files(paths) as found, ThreadPoolExecutor(max_workers=4) as pool:
        for view in _progress("classify", found, pool.map(lambda media: _classified(eye, media), found)):
            if view is None:
                continue
            images += 1
            unreadable += view["outcome"] == Outcome.UNREADABLE
            typer.echo(json.dumps(view) if as_json else _line(view))
    _exit_if(unreadable, f"{unreadable} of {images} files could not be read")


def _classified(eye: "Eye", media: MediaFile) -> dict[str, Any] | None:
    """What `classify` says of a file; None for one in a folder or archive that is no image at all."""
    from dicom_node.part10 import is_dicom

    try:
        with media.opened() as path:
            if not (media.named or media.is_picture or is_dicom(path)):
                return None
            sighting = eye.look_at_picture(path) if media.is_picture else eye.look(path)
    except (UndecodableError, RefusedError) as error:
        return _view(media, None, eye.model_id, str(error))
    except OSError as error:
        return _view(media, None, eye.model_id, f"the file cannot be read: {error.strerror}")
    return _view(media, sighting, eye.model_id, sighting.reason or None)


def _view(media: MediaFile, sighting: Sighting | None, model_id: str, error: str | None) -> dict[str, Any]:
    """The line of `classify --json`."""
    recognition = sighting.recognition if sighting else None
    region = sighting.region if sighting else None
    return {
        "path": media.label,
        "sop_instance_uid": next(iter(sighting.values.get("SOPInstanceUID", ())), None) if sighting else None,
        "outcome": sighting.outcome if sighting else Outcome.UNREADABLE,
        "region": region,
        "confidence": recognition.confidence if recognition else 0.0,
        "probabilities": {str(r): p for r, p in recognition.probabilities.items()} if recognition else {},
        "header_region": sighting.header.region if sighting else None,
        "agreement": sighting.agreement if sighting else None,
        "model": model_id,
        "error": error,
    }


def _line(view: dict[str, Any]) -> str:
    """One line for people: the file, and what it shows."""
    if view["error"]:
        return f"{view['path']}: {view['outcome']}, {view['error']}"
    best = max(view["probabilities"], key=view["probabilities"].get)
    if view["region"] is None:
        return f"{view['path']}: abstained, best guess {best} ({view['confidence']:.2f})"
    header = str(view["agreement"]).replace("header_", "header ")
    return f"{view['path']}: {best} ({view['confidence']:.2f}), {header}"


def import_(paths: Paths, config: ConfigOption = None) -> None:
    """Take in files, folders, DICOMDIR media and zip archives as if they had been received over the network.

    The running node, or the next one, classifies and forwards them.
    """
    from dicom_node.part10 import incoming_from_file
    from dicom_node.receive import receive
    from dicom_node.receiving import open_spool

    settings = read_config(config)
    refuse_stray_ledger(settings, find_config_file(config))
    refuse_for_another(settings)
    tally: Counter[str] = Counter()
    with opened_ledger(settings, create=True) as ledger, media_files(paths) as found:
        spool = open_spool(settings, ledger)

        def take(path: Path) -> None:
            incoming = incoming_from_file(path, calling_ae="IMPORT", called_ae=settings.node.ae_title, peer="import")
            receipt = receive(incoming, spool=spool, intake=ledger.intake, now=utc_now())
            tally["here already" if receipt.duplicate else "taken in"] += 1

        with _told(tally, "taken in", "here already", "refused"):
            _each("import", found, take, stop_on=OutOfResourcesError, tally=tally, trouble="refused")
    refused = tally["refused"]
    _exit_if(refused, f"{refused} of {len(found) - tally[PASSED_OVER]} files could not be taken in")


def send(
    host: Annotated[str, typer.Argument(callback=checked_host)],
    port: Annotated[int, typer.Argument(min=1, max=65535)],
    paths: Paths,
    aet: Annotated[str, typer.Option(callback=checked_ae_title, help="Our AE title.")] = "REGION",
    aec: Annotated[str, typer.Option(callback=checked_ae_title, help="The peer's AE title.")] = "ANY-SCP",
    tls: Annotated[bool, typer.Option("--tls", help="With TLS, as \\[tls] of the configuration says.")] = False,
    config: ConfigOption = None,
) -> None:
    """Send files to a DICOM peer by C-STORE."""
    settings = read_config(config)
    from dicom_node.config.tls import client_of
    from dicom_node.dimse.line import Peer
    from dicom_node.dimse.scu import StoreScu

    client = client_of(settings, DestinationTlsSection()) if tls else None
    scu = StoreScu(Peer(host=host, port=port, ae_title=aec), calling_ae=aet, tls=client)
    tally: Counter[str] = Counter()

    def give(path: Path) -> None:
        _send(scu, path, aet)
        tally["sent"] += 1

    with media_files(paths) as found, closing(scu), _told(tally, "sent", "failed"):
        _each("send", found, give, stop_on=TransientError, tally=tally, trouble="failed")
    failed = tally["failed"]
    _exit_if(failed, f"{failed} of {len(found) - tally[PASSED_OVER]} files were not sent")


@contextmanager
def _told(tally: Counter[str], *kinds: str) -> Iterator[None]:
    """Say what became of how many files when this context ends, also when it is broken off (Ctrl-C, a peer that died):
    nobody could say otherwise what is still to be done.
    """
    try:
        yield
    finally:
        counts = ", ".join(f"{tally[kind]} {kind}" for kind in (*kinds, PASSED_OVER))
        typer.echo(f"{counts} (no DICOM files)")


def _send(scu: "StoreScu", path: Path, calling_ae: str) -> None:
    """Send a file under a File Meta of our own: some files have none, or one that contradicts their data set."""
    from dicom_node.part10 import file_header, incoming_from_file

    incoming = incoming_from_file(path, calling_ae=calling_ae, called_ae="", peer="")
    with _written_down(file_header(incoming) + incoming.dataset) as copy:
        scu.send(copy)


@contextmanager
def _written_down(content: bytes) -> Iterator[Path]:
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="region-node-"))
            copy = Path(folder, "object.dcm")
            copy.write_bytes(content)
        except OSError as error:
            raise NodeError(
                f"no copy can be written to be sent ({error.strerror}): free some space in the folder of temporary "
                "files, or set TMPDIR to another"
            ) from error
        yield copy


def _each(
    what: str,
    files: Sequence[MediaFile],
    work: Callable[[Path], None],
    *,
    stop_on: type[NodeError],
    tally: Counter[str],
    trouble: str,
) -> None:
    """Work on each DICOM file and say what failed, which counts as `trouble`; what are no DICOM files is PASSED_OVER.

    `stop_on` is what would befall every further file too.
    """
    from dicom_node.part10 import is_dicom

    def attempted() -> Iterator[None]:
        for media in files:
            try:
                with media.opened() as path:
                    if media.named or is_dicom(path):
                        work(path)
                    else:
                        tally[PASSED_OVER] += 1
            except stop_on as error:
                raise NodeError(f"stopped at {media.label}: {error}") from error
            except (RefusedError, DeliveryError) as error:
                tally[trouble] += 1
                typer.echo(f"{media.label}: {error}", err=True)
            yield None

    for _ in _progress(what, files, attempted()):
        pass


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[], None]]:
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # On standard error, so that --json on standard output stays clean; nothing at all where nobody watches.
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


def _progress(what: str, files: Sequence[MediaFile], results: Iterator[T]) -> Iterator[T]:
    with _bar(what, len(files)) as advance:
        for result in results:
            advance()
            yield result


def _exit_if(count: int, sentence: str) -> None:
    if count:
        typer.echo(f"error: {sentence}", err=True)
        raise typer.Exit(1)
