"""What a broken sender says: an association with a C-STORE in it (PS3.8 section 9.3, PS3.7 section 9.3.1), mutated."""

from random import Random
from struct import pack

from tests.dimse_objects import CR, cr, encoded

CONTEXT = 1


def item(kind: int, content: bytes) -> bytes:
    return pack(">BBH", kind, 0, len(content)) + content


def pdu(kind: int, content: bytes) -> bytes:
    return pack(">BBL", kind, 0, len(content)) + content


def request() -> bytes:
    """An A-ASSOCIATE-RQ for one CR context."""
    syntaxes = item(0x30, CR.encode()) + item(0x40, b"1.2.840.10008.1.2.1")
    context = item(0x20, pack(">BBBB", CONTEXT, 0, 0, 0) + syntaxes)
    user = item(0x50, item(0x51, pack(">L", 16384)) + item(0x52, b"1.2.3"))
    titles = b"REGION".ljust(16) + b"BROKEN".ljust(16)
    body = pack(">HH", 1, 0) + titles + bytes(32) + item(0x10, b"1.2.840.10008.3.1.1.1") + context + user
    return pdu(0x01, body)


def _command(uid: bytes) -> bytes:
    def element(number: int, value: bytes) -> bytes:
        return pack("<HHL", 0, number, len(value)) + value

    def padded(text: bytes) -> bytes:
        return text + b"\0" * (len(text) % 2)

    body = (
        element(0x0002, padded(CR.encode()))
        + element(0x0100, pack("<H", 1))
        + element(0x0110, pack("<H", 1))
        + element(0x0700, pack("<H", 0))
        + element(0x0800, pack("<H", 1))
        + element(0x1000, padded(uid))
    )
    return element(0x0000, pack("<L", len(body))) + body


def _fragment(control: int, content: bytes) -> bytes:
    return pdu(0x04, pack(">LBB", len(content) + 2, CONTEXT, control) + content)


def store_words(chance: Random) -> bytes:
    """Request, C-STORE and release, with something wrong: bytes, lengths, order, or all of it noise."""
    uid = f"1.2.7.{chance.getrandbits(60)}".encode()
    data = encoded(cr(uid.decode()))
    words = [request(), _fragment(0x03, _command(uid)), _fragment(0x02, data), pdu(0x05, bytes(4))]
    way = chance.randrange(6)
    if way == 0:
        return chance.randbytes(chance.randrange(1, 300))
    if way == 1:
        chance.shuffle(words)
    elif way == 2:
        words.insert(chance.randrange(len(words)), chance.choice(words))
    elif way == 3:
        del words[chance.randrange(len(words))]
    spoken = bytearray(b"".join(words))
    if way == 4:
        at = chance.randrange(len(spoken) - 4)
        spoken[at : at + 4] = pack(">L", chance.choice((0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)))
    for _ in range(chance.choice((0, 1, 1, 3, 10)) if way != 5 else 60):
        spoken[chance.randrange(len(spoken))] = chance.randrange(256)
    return bytes(spoken[: chance.randrange(1, len(spoken) + 1)] if chance.random() < 0.2 else spoken)
