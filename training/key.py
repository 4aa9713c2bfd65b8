"""The key to an archive: the salt of the patients' groups, how they were split, and the way to the originals."""

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from training.errors import TrainingError
from training.table_files import write_table

SALT, LINKS, SHARES = "salt", "links.csv", "shares.json"
SALT_BYTES = 32
"""With fewer somebody could try out salts; with none, patients' IDs."""


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Which part of the patients is for what; the rest is `train`. The defaults are Langer et al.'s 64/16/20 %.

    Raises:
        TrainingError: one is below 0, or both together are above 1.
    """

    tune: float = 0.16
    evaluate: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        # The billionth is for what decimal shares of 1 add up to; not a number is refused as well.
        if not (self.tune >= 0 and self.evaluate >= 0 and self.tune + self.evaluate <= 1 + 1e-9):
            raise TrainingError(
                f"--tune {self.tune:g} --evaluate {self.evaluate:g}: each is a share of the patients, 0 or more, and "
                "both together are at most 1."
            )

    def use(self, group: str) -> str:
        """Decided by the group's name and the seed alone, so that no patient is on two sides."""
        digest = hashlib.sha256(f"use:{self.seed}:{group}".encode()).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        if place < self.evaluate:
            return "evaluate"
        return "tune" if place < self.evaluate + self.tune else "train"


@dataclass(frozen=True, kw_only=True)
class Key:
    """The salt of the groups and, where it is kept, the folder with it and with the way back to the originals."""

    salt: bytes
    folder: Path | None = None

    def group(self, patient: str) -> str:
        """The name under which a patient's images stay together; 64 bits."""
        return hmac.new(self.salt, patient.encode(errors="surrogateescape"), hashlib.sha256).hexdigest()[:16]

    def origin(self, uid: str) -> str:
        """What a row says of the object that it was made from, for whoever has the key and the object's UID. Empty for
        what has no UID, and where no key is kept.
        """
        return self.group(f"object {uid}") if uid and self.folder is not None else ""

    def keep_links(self, links: Sequence[tuple[str, str, str]]) -> None:
        """Write which cached file came from which original; does nothing where no key is kept."""
        if self.folder is not None:
            write_table(_private(self.folder / LINKS), ("file", "original", "sop_instance_uid"), links)


def open_key(folder: Path | None, *, out: Path) -> Key:
    """The key in a folder, made there if it is not; without a folder one that nobody can use again.

    The same key gives the same groups, so that a split stays a split when data joins.

    Raises:
        TrainingError: the key would lie inside the cache that it opens, or its salt is no whole one.
    """
    if folder is None:
        return Key(salt=secrets.token_bytes(SALT_BYTES))
    if folder.resolve().is_relative_to(out.resolve()):
        raise TrainingError(f"The key {folder} would lie inside {out}, which it opens: keep it apart.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / SALT
    if not file.exists():
        _write_whole(file, secrets.token_hex(SALT_BYTES) + "\n")
    try:
        salt = bytes.fromhex(file.read_text(encoding="ascii").strip())
    except ValueError:
        salt = b""
    if len(salt) < SALT_BYTES:
        raise TrainingError(
            f"{file} holds no whole salt: restore it from a copy, or name another folder; if nothing was prepared with "
            "it, remove it to begin anew."
        )
    return Key(salt=salt, folder=folder)


def keep_shares(key: Key, shares: Shares) -> None:
    """Write beside the salt how the patients were split; does nothing where no key is kept.

    Raises:
        TrainingError: this key's patients were split in another way, so that some would change sides.
    """
    if key.folder is None:
        return
    file = key.folder / SHARES
    if not file.exists():
        _write_whole(file, json.dumps(asdict(shares)) + "\n")
        return
    try:
        kept = Shares(**json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise TrainingError(f"{file} does not say how patients were split: restore it, or name another key.") from error
    if kept != shares:
        raise TrainingError(
            f"The patients of the key {key.folder} were split with --seed {kept.seed} --tune {kept.tune:g} --evaluate "
            f"{kept.evaluate:g}: give the same, or some that were learned from would be measured on; or another key."
        )


def _private(file: Path) -> Path:
    """The path of a file that only its owner may read."""
    os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
    return file


def _write_whole(file: Path, text: str) -> None:
    """A private file that is on the disk with all of `text`, or is not there: half a salt would be another key."""
    part = file.with_name(file.name + ".part")
    with _private(part).open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)
