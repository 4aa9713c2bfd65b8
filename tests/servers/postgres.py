"""PostgreSQL (Debian's package) on a free port with a temporary cluster, as an unprivileged user even under root."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import psycopg
import pytest

from tests.servers.programs import free_port, wait_for_port, wait_until

CLUSTERS = Path("/usr/lib/postgresql")


def server_programs() -> Path:
    """The folder of initdb and postgres of the newest version; skips the test when there is none."""
    versions = [folder for folder in CLUSTERS.glob("*/bin") if (folder / "initdb").exists()]
    if not versions:
        pytest.skip("PostgreSQL server programs are not installed (Debian: apt-get install postgresql)")
    return max(versions, key=lambda folder: float(folder.parent.name))


class PostgresProcess:
    """An empty PostgreSQL server; `new_database()` gives the URL of another empty database in it."""

    def __init__(self, *, fsync: bool = False) -> None:
        """`fsync`: as in earnest, for tests that kill it; else it is fast, and forgetful when the machine stops."""
        self._options = [] if fsync else ["-F"]
        self.port = free_port()
        self._programs = server_programs()
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return once the server answers queries; a server that was stopped comes back with its data."""
        cluster = self._folder / "cluster"
        log = self._folder / "log"
        with log.open("ab") as out:
            if not cluster.exists():
                initdb = [self._programs / "initdb", "-D", cluster, "-U", "node", "-A", "trust", "-E", "UTF8"]
                subprocess.run([*initdb, "--locale=C", "--no-sync"], check=True, stdout=out, stderr=out, **self._who())
            program = [self._programs / "postgres", *self._options]
            self._process = subprocess.Popen(
                [*program, "-D", cluster, "-p", str(self.port), "-k", "", "-h", "127.0.0.1"],
                stdout=out,
                stderr=out,
                **self._who(),
            )
        wait_for_port(self._process, self.port, log)
        wait_until(self._answers, what="an answer of PostgreSQL")

    def stop(self, *, how: signal.Signals = signal.SIGINT) -> None:
        """Fast shutdown (SIGINT): open connections are broken, what was committed stays."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        """Delete the cluster."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"ledger_{uuid4().hex}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0'.encode())
        return self.url(name)

    def url(self, database: str) -> str:
        """The URL of a database of this server."""
        return f"postgresql://node@127.0.0.1:{self.port}/{database}"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def _who(self) -> dict[str, Any]:
        # The server refuses to run as root; Debian's package brings an account for it.
        if os.geteuid() != 0:
            return {"cwd": self._folder}
        account = pwd.getpwnam("postgres")
        os.chown(self._folder, account.pw_uid, account.pw_gid)
        return {"cwd": self._folder, "user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(how=signal.SIGQUIT)  # immediate: what it holds is thrown away anyway
        self.remove()
