"""Names that a configuration gives: AE titles, hosts, names of our own, ports, files and folders."""

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field


def ae_title(text: str) -> str:
    """The AE title without its outer spaces; ValueError for what is none."""
    # AE: 16 characters of the default repertoire, no backslash or control characters, outer spaces do not count
    # (PS3.5 table 6.2-1).
    title = text.strip()
    if not re.fullmatch(r"[\x20-\x5b\x5d-\x7e]{1,16}", title):
        raise ValueError(f"{text!r} is no AE title: 1 to 16 ASCII characters without a backslash")
    return title


def host_name(text: str) -> str:
    """A host's name or address without outer spaces; ValueError for what nobody could look up."""
    host = text.strip()
    try:
        looked_up = host.encode("idna")
    except UnicodeError:
        looked_up = b""
    if not looked_up or re.search(rb"\s", looked_up):
        raise ValueError(f"{text!r} is no host: write its name or its address")
    return host


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", text):
        raise ValueError(f"{text!r} is no name: letters, digits, '.', '_' and '-', 64 at most")
    return text


def _location(value: object) -> object:
    """ValueError for text that is another path than whoever wrote it meant."""
    if value == "":
        raise ValueError("an empty path; leave the key out, or name a file or folder")
    if isinstance(value, str) and value.startswith("~"):
        raise ValueError(f"{value!r}: only a shell knows what ~ stands for; write the whole path")
    return value


AeTitle = Annotated[str, AfterValidator(ae_title)]
Host = Annotated[str, AfterValidator(host_name)]
Name = Annotated[str, AfterValidator(_name)]
Location = Annotated[Path, BeforeValidator(_location)]
Port = Annotated[int, Field(ge=0, le=65535)]


def nearest(name: str, valid: list[str]) -> str:
    """The words "; did you mean X?" for a name that is close to a valid one, else the empty string."""
    close = get_close_matches(name, valid, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
