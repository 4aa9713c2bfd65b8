"""A key is whole and private, or refused: half a one would make other groups of the same patients."""

import os
import stat

import pytest

from training.errors import TrainingError
from training.key import Shares, keep_shares, open_key


@pytest.mark.parametrize("left", [0, 1, 30, 62])
def test_a_salt_that_was_cut_off_is_no_key(tmp_path, left):
    """A full disk leaves the beginning of a file; with an empty salt anybody could try out patients' IDs."""
    open_key(tmp_path / "key", out=tmp_path / "out")
    salt = tmp_path / "key" / "salt"
    salt.write_text(salt.read_text()[:left])
    with pytest.raises(TrainingError, match="holds no whole salt"):
        open_key(tmp_path / "key", out=tmp_path / "out")


@pytest.mark.parametrize("text", ["no salt\n", "\u00e4" * 64])
def test_what_is_no_salt_is_no_key(tmp_path, text):
    (tmp_path / "salt").write_text(text)
    with pytest.raises(TrainingError, match="holds no whole salt"):
        open_key(tmp_path, out=tmp_path / "out")


def test_a_key_that_could_not_be_written_is_made_anew(tmp_path, monkeypatch):
    """Killed, or without room, before the bytes were on the disk: there is no salt, not a part of one."""

    def no_room(_descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_room)
        with pytest.raises(OSError, match="No space"):
            open_key(tmp_path / "key", out=tmp_path / "out")
    assert not (tmp_path / "key" / "salt").exists()
    made = open_key(tmp_path / "key", out=tmp_path / "out")
    assert made.salt == open_key(tmp_path / "key", out=tmp_path / "out").salt
    assert len(made.salt) == 32


def test_only_the_owner_reads_a_key(tmp_path):
    """Whatever the process would let others read."""
    before = os.umask(0)
    try:
        keep_shares(open_key(tmp_path / "key", out=tmp_path / "out"), Shares())
    finally:
        os.umask(before)
    for name in ("salt", "shares.json"):
        assert stat.S_IMODE((tmp_path / "key" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o700


@pytest.mark.parametrize(("tune", "evaluate"), [(5.0, 0.2), (0.1, -1.0), (-0.1, 0.2), (0.9, 0.9), (float("nan"), 0.2)])
def test_shares_that_are_none_of_the_patients_are_refused(tune, evaluate):
    with pytest.raises(TrainingError, match="both together are at most 1"):
        Shares(tune=tune, evaluate=evaluate)


def test_shares_may_leave_nobody_to_learn_from_or_take_nobody_away():
    """An archive that is for evaluation alone, and one that is all for learning."""
    assert {Shares(tune=0.7, evaluate=0.3).use(f"{n:x}") for n in range(100)} == {"tune", "evaluate"}
    assert {Shares(tune=0.0, evaluate=0.0).use(f"{n:x}") for n in range(100)} == {"train"}
