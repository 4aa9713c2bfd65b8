"""Who somebody at the web port is: passwords as Argon2id hashes (RFC 9106), tokens as SHA-256.

A token has 256 bits of chance, so that a plain hash keeps it; a password has few, and its hash is made slow. So that
not every request costs that, a password that was right is remembered for some minutes: as a keyed hash whose key nobody
but this process has.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from time import monotonic

import argon2

from dicom_node.config.security import AuthSection, Role

REMEMBERED_SECONDS = 300.0
MOST_REMEMBERED = 1000
TOKEN_PREFIX = "rn_"  # noqa: S105 - it makes a token that leaked somewhere easy to find


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Somebody who was let in."""

    name: str
    role: Role


# Without accounts the port is on loopback, and whoever is on this machine may do everything.
LOCAL = Caller(name="local", role=Role.ADMIN)


def hash_password(password: str) -> str:
    """An Argon2id hash for `web.auth.users.password_hash`."""
    return argon2.PasswordHasher().hash(password)


def new_token() -> tuple[str, str]:
    """A token, and its hash for `web.auth.tokens.token_hash`."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    return token, hash_token(token)


def hash_token(token: str) -> str:
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"


class Accounts:
    """The users and tokens of a configuration. Methods may be called from several threads."""

    def __init__(self, section: AuthSection, *, clock: Callable[[], float] = monotonic) -> None:
        self.configured = section.configured
        self._users = {
            user.name: (user.password_hash.get_secret_value(), Caller(name=user.name, role=user.role))
            for user in section.users
        }
        self._tokens = [
            (token.token_hash.get_secret_value(), Caller(name=token.name, role=token.role)) for token in section.tokens
        ]
        self._hasher = argon2.PasswordHasher()
        # A name that does not exist shall take as long as one that does.
        self._nobody = self._hasher.hash(secrets.token_urlsafe()) if self._users else ""
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._lock = Lock()
        self._remembered: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    def by_token(self, token: str) -> Caller | None:
        """Whose token this is. Every token is compared, each in constant time."""
        shown = hash_token(token)
        found = [caller for expected, caller in self._tokens if hmac.compare_digest(shown, expected)]
        return found[0] if found else None

    def remembered(self, name: str, password: str) -> Caller | None:
        """Who this is, when the same password was right within the last minutes; costs nothing."""
        with self._lock:
            until, caller = self._remembered.get(self._mark(name, password), (0.0, None))
            return caller if self._clock() < until else None

    def by_password(self, name: str, password: str) -> Caller | None:
        """Who this is; takes a third of a second and 64 MiB, whether name and password are right or not."""
        expected, caller = self._users.get(name, (self._nobody, None))
        if not expected:
            return None
        try:
            self._hasher.verify(expected, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return None
        if caller is not None:
            self._remember(self._mark(name, password), caller)
        return caller

    def _remember(self, mark: bytes, caller: Caller) -> None:
        with self._lock:
            self._remembered[mark] = (self._clock() + REMEMBERED_SECONDS, caller)
            while len(self._remembered) > MOST_REMEMBERED:
                self._remembered.popitem(last=False)

    def _mark(self, name: str, password: str) -> bytes:
        return hmac.digest(self._key, f"{name}\0{password}".encode(), "sha256")
