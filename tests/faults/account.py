"""The account of a fault run: what was acknowledged, what the node has, what its destination has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from dicom_node.ledger.engine import Database
from dicom_node.ledger.schema import instances
from tests.faults.objects import Sample, content_of


@dataclass(kw_only=True)
class Account:
    """Figures of a run, and everything that is wrong with it."""

    acknowledged: int = 0
    stored: int = 0
    forwarded: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def balanced(self) -> bool:
        return not self.wrong and self.acknowledged == self.stored == self.forwarded


def account_of(
    acknowledged: Mapping[str, Sample], *, ledger_url: str, spool: Path, arrived: Mapping[str, Iterable[str]]
) -> Account:
    """Compare; the node is not running. `arrived`: contents (`content_of`) by UID, as the destination has them."""
    account = Account(acknowledged=len(acknowledged))
    stored = _stored(ledger_url, spool, account)
    for uid, sample in acknowledged.items():
        contents = stored.get(uid, [])
        if contents == [sample.content]:
            account.stored += 1
        else:
            account.wrong.append(f"{uid}: acknowledged, but stored {len(contents)} times or as something else")
        here = set(arrived.get(uid, ()))
        if here == {sample.content}:
            account.forwarded += 1
        else:
            account.wrong.append(f"{uid}: stored, but {len(here)} contents at the destination, or another one")
    account.wrong += [f"{uid}: not acknowledged, and yet stored" for uid in stored.keys() - acknowledged.keys()]
    account.wrong += [f"{uid}: at the destination from nowhere" for uid in arrived.keys() - acknowledged.keys()]
    leftovers = [path.name for path in (spool / "tmp").glob("*")]
    account.wrong += [f"{name}: a temporary file that nobody removed" for name in leftovers]
    return account


def _stored(ledger_url: str, spool: Path, account: Account) -> dict[str, list[str]]:
    """Contents by UID, as ledger and spool have them together; complains of a file or a row without the other."""
    database = Database(ledger_url)
    with database.reading() as connection:
        rows = connection.execute(select(instances.c.sop_instance_uid, instances.c.path)).all()
    database.close()
    stored: dict[str, list[str]] = {}
    for uid, path in rows:
        if (spool / path).is_file():
            stored.setdefault(uid, []).append(content_of(spool / path))
        else:
            account.wrong.append(f"{uid}: a row without a file")
    known = {path for _, path in rows}
    files = (path.relative_to(spool) for path in spool.rglob("*.dcm"))
    account.wrong += [f"{file}: a file without a row" for file in files if str(file) not in known]
    return stored


def arrived_at_storescp(files: Iterable[Path]) -> dict[str, list[str]]:
    """Contents by UID of what storescp wrote: it names files MODALITY.UID."""
    return {path.name.split(".", 1)[1]: [content_of(path)] for path in files}
