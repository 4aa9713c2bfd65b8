"""Who is dead, and of whom that cannot be said."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from dicom_node.owner import is_dead, own_name


def name_of_a_child() -> tuple[str, subprocess.Popen]:
    program = "from dicom_node.owner import own_name; print(own_name(), flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert child.stdout is not None
    return child.stdout.readline().strip(), child


def test_a_running_process_is_not_dead_and_a_killed_one_is(root, monkeypatch) -> None:
    monkeypatch.chdir(root)
    name, child = name_of_a_child()
    assert not is_dead(name)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead(name), "a process that nobody has waited for yet (a zombie) holds nothing any more"
    child.communicate()
    assert is_dead(name)
    assert child.returncode == -signal.SIGKILL


def test_a_process_that_has_got_the_id_of_a_dead_one_is_another() -> None:
    *rest, started = own_name().split("~")
    assert not is_dead("~".join([*rest, started]))
    assert is_dead("~".join([*rest, str(int(started) + 1)]))


def test_of_processes_elsewhere_nothing_is_known() -> None:
    host, boot, namespace, _, _ = own_name().split("~")
    assert not is_dead(f"other~{boot}~{namespace}~999999999~1")
    assert not is_dead(f"{host}~0000~{namespace}~999999999~1")
    assert not is_dead(f"{host}~{boot}~1~999999999~1")
    assert not is_dead("")
    assert not is_dead("host:1234")
