"""What other accounts on the node's machine may read of patients' images, whatever the node was started from allows."""

import os
from collections.abc import Iterator

import pytest

from tests.accounts import NOBODY
from tests.dimse_objects import incoming, written
from tests.servers.dcmtk import storescu
from tests.servers.node import NodeProcess
from tests.synthetic import bright


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_others_may_read_neither_images_nor_ledger_nor_look_into_their_folders(tmp_path, umask, file_of) -> None:
    file = file_of(bright())
    node = NodeProcess(tmp_path / "node")
    node.run("import", written(tmp_path, incoming("1.2.4")))
    with node:
        assert storescu(node.port, [file]).returncode == 0
        node.settled(2)
        data = node.folder / "data"
        modes = {path: path.stat().st_mode & 0o777 for path in (data, *data.rglob("*"))}
    assert {"ledger.sqlite", "region-node-spool", "spool"} <= {path.name for path in modes}
    assert sum(path.suffix == ".dcm" for path in modes) == 2
    forbidden = 0o027 | umask
    assert {str(path): oct(mode) for path, mode in modes.items() if mode & forbidden} == {}


def test_root_leaves_nothing_that_the_node_cannot_read_in_the_spool_of_another_account(tmp_path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to have two accounts")
    node = NodeProcess(tmp_path / "node")
    node.spool.mkdir(parents=True)
    os.chown(node.spool, NOBODY, -1)
    for command in (["import", written(tmp_path, incoming("1.2.4"))], ["migrate"]):
        done = node.run(*command, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert "sudo -u 'nobody'" in done.stderr
    assert list((node.folder / "data").rglob("*")) == [node.spool]
