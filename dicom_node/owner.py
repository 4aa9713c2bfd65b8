"""The name of a process, by which others can tell later whether it is still there; and whose a file is.

Leases and temporary files bear it. A process id alone comes again; with the time at which the process began it does not
(proc_pid_stat(5), field 22). Ids count only inside one PID namespace of one boot of one machine: of a process elsewhere
nothing is known from here, and what it holds is left to run out.
"""

import os
import socket
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")
_STATE, _STARTED = 0, 19  # fields after the command's name, which may itself hold spaces and brackets
_DEAD = ("Z", "X")


def own_name() -> str:
    """This process, as `host~boot~namespace~pid~start`; without /proc, the parts that it would give are empty."""
    pid = os.getpid()
    return "~".join((*_place(), str(pid), _life_of(pid)[1]))


def is_dead(name: str) -> bool:
    """Whether the process of this name has surely ended: it ran here, and no such process is here any more."""
    *place, pid, started = name.split("~") if "~" in name else ("", "")
    if tuple(place) != _place() or not pid.isdigit():
        return False
    if started:
        state, now_started = _life_of(int(pid))
        return state in _DEAD or now_started != started
    return not _answers(int(pid))


def account_of(path: Path) -> str:
    """Whose a file or folder is, as sudo and chown take it: the account's name, or #1000. Raises OSError."""
    try:
        return path.owner()
    except KeyError:  # in a container, or over NFS
        return f"#{path.stat().st_uid}"


def _place() -> tuple[str, str, str]:
    host = socket.gethostname().replace("/", "_").replace("~", "_")
    try:
        boot = _BOOT.read_text(encoding="ascii").strip()[:8]
        namespace = _NAMESPACE.readlink().name.removeprefix("pid:[").removesuffix("]")
    except OSError:
        return host, "", ""
    return host, boot, namespace


def _life_of(pid: int) -> tuple[str, str]:
    """State and start of a process; empty where there is none, or no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return "", ""
    return fields[_STATE], fields[_STARTED]


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
