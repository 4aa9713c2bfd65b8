"""Receiver processes: they start, die and end without harm to each other, to the node or to what is being received."""

import os
import re
import resource
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dicom_node.config import Config, load_config
from dicom_node.errors import ConfigError, NodeError, StartError
from dicom_node.listening import family_of
from dicom_node.receivers import Receivers
from dicom_node.spool import Spool
from tests.receiver_processes import (
    answer_when_told,
    count_three,
    die,
    find_a_wrong_key,
    find_the_ledger_away,
    find_the_port_taken,
    leave_half_a_file,
    listen_and_note_pid,
    note_pid,
    notify_a_lot,
    pid_file,
)
from tests.servers.programs import free_port, wait_until


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(None, {"DICOM_NODE_NODE__DATA_DIR": str(tmp_path)})


def config_of(tmp_path: Path, **node: object) -> Config:
    keys = {"data_dir": tmp_path, **node}
    return load_config(None, {f"DICOM_NODE_NODE__{key.upper()}": str(value) for key, value in keys.items()})


def receivers(
    config: Config,
    open_receiver: Callable,
    *,
    arrived: Callable = bool,
    clear_up: Callable = bool,
    pause: float = 0.2,
) -> Receivers:
    return Receivers(config=config, open_receiver=open_receiver, arrived=arrived, clear_up=clear_up, pause=pause)


def test_several_processes_end_together(tmp_path: Path) -> None:
    """The first one to end is noticed while the others are still being asked to."""
    three = config_of(tmp_path, receivers=3, port=0)
    several = receivers(three, note_pid)
    several.start()
    processes = list(several._processes.values())
    several.stop()
    assert [process.exitcode for process in processes] == [0, 0, 0]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_another_node_s_receivers_share_is_taken(tmp_path: Path, host: str) -> None:
    """The kernel would let both nodes share it, and deal the images out to them."""
    with socket.socket(family_of(host)) as another:
        another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        another.bind((host, 0))
        another.listen()
        port = another.getsockname()[1]
        two = receivers(config_of(tmp_path, receivers=2, host=host, port=port), note_pid)
        with pytest.raises(StartError, match=f"cannot listen on {host} port {port}: Address already in use; .*"):
            two.start()
    assert not pid_file(tmp_path).exists()


def test_a_receiver_that_died_is_replaced_although_the_others_have_the_port(tmp_path: Path) -> None:
    two = receivers(config_of(tmp_path, receivers=2, port=free_port()), listen_and_note_pid)
    two.start()
    try:
        first = pid_file(tmp_path).read_text()
        os.kill(int(first), signal.SIGKILL)
        wait_until(lambda: pid_file(tmp_path).read_text() != first, what="another process")
        wait_until(lambda: two.answering == 2, what="two that answer")
    finally:
        two.stop()


@pytest.mark.parametrize(
    ("open_receiver", "error", "sentence"),
    [
        (die, StartError, "did not start"),
        (find_the_port_taken, StartError, "port 104: Address already in use"),
        (find_the_ledger_away, StartError, "PostgreSQL cannot be reached"),
        (find_a_wrong_key, ConfigError, "is not the key of the certificate"),
    ],
)
def test_only_what_somebody_has_to_mend_is_a_wrong_configuration(
    config: Config, open_receiver: Callable, error: type[NodeError], sentence: str
) -> None:
    """The service is not started again after a ConfigError; after a power failure the ledger may come later than we."""
    with pytest.raises(error, match=sentence):
        receivers(config, open_receiver).start()


def test_ctrl_c_while_a_process_starts_is_left_to_the_node(config: Config) -> None:
    """It reaches the whole group; a process that is still importing modules must not die of it."""
    starting = receivers(config, note_pid)
    started = threading.Event()

    def press() -> None:
        while not started.wait(0.02):
            for process in list(starting._processes.values()):
                if process.pid is not None:
                    os.kill(process.pid, signal.SIGINT)

    keyboard = threading.Thread(target=press)
    keyboard.start()
    try:
        starting.start()
    finally:
        started.set()
        keyboard.join()
    [process] = starting._processes.values()
    starting.stop()
    assert process.exitcode == 0
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_what_a_process_counted_stays_counted_when_it_dies(config: Config, tmp_path: Path) -> None:
    told = threading.Event()
    counting = receivers(config, count_three, arrived=told.set)
    counting.start()
    try:
        assert told.wait(10)
        assert +counting.counted() == {"stored": 2, "refused MismatchError": 1}
        first = pid_file(tmp_path).read_text()
        os.kill(int(first), signal.SIGKILL)
        wait_until(lambda: pid_file(tmp_path).read_text() != first, what="another process")
        wait_until(lambda: counting.counted()["stored"] == 4, what="what the other one counted")
    finally:
        counting.stop()


def test_what_a_dead_process_had_in_hand_is_cleared_up_while_the_node_runs(config: Config, tmp_path: Path) -> None:
    spool = Spool(tmp_path, reserve_bytes=0)
    writing = receivers(config, leave_half_a_file, clear_up=spool.sweep)
    writing.start()
    try:
        (half,) = (tmp_path / "tmp").iterdir()
        assert spool.sweep() == 0
        os.kill(int(half.read_text()), signal.SIGKILL)
        wait_until(lambda: not half.exists(), what="the removal of what it had begun")
    finally:
        writing.stop()


def test_a_disk_that_cannot_be_cleared_up_does_not_keep_the_next_process_away(config: Config, tmp_path: Path) -> None:
    def fail() -> None:
        raise PermissionError(13, "Permission denied")

    unlucky = receivers(config, note_pid, clear_up=fail)
    unlucky.start()
    try:
        first = pid_file(tmp_path).read_text()
        with capture_logs() as logs:
            os.kill(int(first), signal.SIGKILL)
            wait_until(lambda: pid_file(tmp_path).read_text() != first, what="another process")
        assert "dead_receiver_not_cleared_up" in [line["event"] for line in logs]
    finally:
        unlucky.stop()


def test_a_process_that_does_not_answer_yet_is_none_that_can_take_images(config: Config, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")
    slow = receivers(config, answer_when_told)
    threading.Thread(target=(tmp_path / "go").write_bytes, args=(b"now",)).start()
    slow.start()
    try:
        assert slow.answering == 1
        first = pid_file(tmp_path).read_text()
        os.kill(int(first), signal.SIGKILL)
        wait_until(lambda: pid_file(tmp_path).read_text() != first, what="another process")
        assert slow.answering == 0
        (tmp_path / "go").write_bytes(b"now")
        wait_until(lambda: slow.answering == 1, what="its answer")
    finally:
        slow.stop()


def test_a_store_never_waits_for_the_node_to_hear_of_it(config: Config, tmp_path: Path) -> None:
    """The node's process is stuck, and the pipe to it full; the receiver goes on all the same."""
    os.mkfifo(tmp_path / "go")
    gate = threading.Event()
    stuck = receivers(config, notify_a_lot, arrived=gate.wait)
    stuck.start()
    try:
        (tmp_path / "go").write_bytes(b"now")
        wait_until((tmp_path / "done").exists, what="the last notification")
    finally:
        gate.set()
        stuck.stop()


def test_what_dies_is_replaced_even_when_that_fails_at_first(config: Config, tmp_path: Path) -> None:
    """Without a free file descriptor no process can be started; the watcher tries again later."""
    watched = receivers(config, note_pid)
    watched.start()
    first = pid_file(tmp_path).read_text()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        with capture_logs() as logs:
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            try:
                os.kill(int(first), signal.SIGKILL)
                wait_until(lambda: "receiver_not_started" in [line["event"] for line in logs], what="a failed start")
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            wait_until(lambda: pid_file(tmp_path).read_text() != first, what="another process")
    finally:
        watched.stop()


def test_a_process_that_dies_again_and_again_is_not_started_without_a_pause(config: Config, tmp_path: Path) -> None:
    unlucky = receivers(config, note_pid, pause=60.0)
    unlucky.start()
    try:
        with capture_logs() as logs:
            for deaths in (1, 2):
                os.kill(int(pid_file(tmp_path).read_text()), signal.SIGKILL)
                pid_file(tmp_path).unlink()
                wait_until(lambda d=deaths: len(logs) == d, what="a death")
                if deaths == 1:
                    wait_until(pid_file(tmp_path).exists, what="another process at once")
            assert unlucky._processes == {}
    finally:
        unlucky.stop()  # the pause does not hold this up: the test's time limit would


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="needs Linux's /proc")
def test_a_process_may_open_as_many_files_as_the_system_allows(config: Config, tmp_path: Path) -> None:
    """A shell allows 1024, which 400 associations use up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 256), hard))
    one = receivers(config, note_pid)
    try:
        one.start()
        limits = Path(f"/proc/{pid_file(tmp_path).read_text()}/limits").read_text()
        assert f"{hard}" in re.search(r"Max open files +(\S+)", limits)[1]
    finally:
        one.stop()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
