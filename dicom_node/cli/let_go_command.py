"""`let-go`: of several contents of one UID, one that nobody needs."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer

from dicom_node.cli.options import ConfigOption, opened_ledger, read_config, spool_to_read
from dicom_node.clock import utc_now
from dicom_node.config.quantities import shown
from dicom_node.errors import ConfigError, NodeError
from dicom_node.instance import Instance
from dicom_node.ports import Records

SHORTEST = 8


def let_go(
    uid: Annotated[str, typer.Argument(help="A SOP Instance UID that several contents bear.")],
    digest: Annotated[
        str, typer.Argument(help=f"Of the one to let go, as `show` names it; its first {SHORTEST} letters will do.")
    ],
    config: ConfigOption = None,
) -> None:
    """Let one of several contents of a UID go: its file is removed, and nothing of it is sent any more. Which of them
    the PACS has, nobody but you can tell: look there first, and delete it there first if it is the wrong one.
    """
    settings = read_config(config)
    with opened_ledger(settings, create=False) as ledger:
        chosen = _chosen(ledger.records, uid, digest.strip().lower())
        spool = spool_to_read(settings, ledger)
        spool.check_marked()
        try:
            gone = ledger.records.let_go(chosen.id, remove=spool.remove, now=utc_now())
        except OSError as error:
            raise NodeError(f"its file cannot be removed ({error.strerror}); nothing was changed") from error
    if not gone:
        raise NodeError(
            "nothing was changed: it has no verdict yet, was let go before, or is the last content of this UID that is "
            "not lost; `dicom-node show` tells"
        )
    typer.echo(f"{chosen.digest[:SHORTEST]} is let go, and its file removed")
    typer.echo(_next_step(uid, settings.retention.keep))


def _next_step(uid: str, keep: timedelta | None) -> str:
    until = "" if keep is None else f" at once: retention keeps it for {shown(keep)} from now"
    return (
        "a destination that has that one lacks what stays: delete that one there, unless it keeps the last, and "
        f"`dicom-node requeue --state delivered {uid}` sends what stays{until}"
    )


def _chosen(records: Records, uid: str, digest: str) -> Instance:
    """The one content that is meant. Raises ConfigError."""
    found = [record.instance for record in records.find(uid) if record.instance.sop_instance_uid == uid]
    if not found:
        raise ConfigError("the ledger holds no object with this SOP Instance UID")
    meant = [one for one in found if len(digest) >= SHORTEST and one.digest.startswith(digest)]
    if len(meant) != 1:
        raise ConfigError(f"name one of its contents by the beginning of its digest: {_digests(found)}")
    return meant[0]


def _digests(found: Sequence[Instance]) -> str:
    return ", ".join(one.digest for one in found)
