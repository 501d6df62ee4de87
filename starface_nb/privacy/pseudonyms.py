"""Replacements for what identifies somebody: the same for the same thing, keyed, never two things alike."""

import hashlib
import hmac
import ipaddress
import itertools
import os
import re
import secrets
import string
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable
from pathlib import Path

from starface_nb.errors import SettingError
from starface_nb.files import real, write_new
from starface_nb.networks import KINDS, networks, normal_ip
from starface_nb.tables import table

Draw = Callable[[str, int], str]

_LONGEST = 64  # characters of a name that is kept in shape; longer ones are an attacker's
_TRIES = 48  # draws of one length before a name gets longer
_LEAST, _NEW, _MOST = 16, 32, 1024  # bytes of a key: fewer are no secret, those of a new one, more are no key
_HEXADECIMAL = re.compile(rb"[0-9A-Fa-f]+")  # as keys that are made, which are the same in either case
_LETTERS = 10  # different characters in a key that was drawn by chance


def load_key(path: Path, made: list[Path] | None = None) -> bytes:
    """Return the secret in a file; make the file, readable for its owner alone, where there is none.

    A file that was made is added to `made`.

    Raises
    ------
    SettingError
        The file cannot be read or written, or is no key: it holds too little to be a secret, or more than one line.
    """
    try:
        if not path.exists() and write_new(path, secrets.token_hex(_NEW).encode() + b"\n") and made is not None:
            made.append(real(path))
        if not path.is_file():
            raise OSError(0, "it is no file")
        with path.open("rb") as file:
            key = file.read(_MOST + 1).removeprefix(BOM_UTF8).strip()  # an editor may have saved it
    except OSError as error:
        cause = f"The key cannot be read or made: {error.strerror or error}."
        raise SettingError(cause, place=path, next_step="Choose a file in a folder you may write to.") from None
    digits, step = _HEXADECIMAL.fullmatch(key), "name a file that does not exist yet; a key is made for it."
    if len(key) < _LEAST:
        cause = f"The key has only {len(key)} {'byte' if len(key) == 1 else 'bytes'}."
    elif len(key) > _MOST or b"\n" in key:
        cause = "This is no key, which is one short line."
    elif (_NEW != len(key) < 2 * _NEW) if digits else re.search(rb"[0-9A-Fa-f]{%d}" % (2 * _NEW), key):
        has = f"it has {len(key)} hexadecimal digits" if digits else "it holds more than hexadecimal digits"
        # one's own may well have half as many
        cause = f"This key is damaged: {has}, and keys that are made here have {2 * _NEW}."
        step = f"Copy it again from its origin, or {step}"
    else:
        return key.lower() if digits else key
    raise SettingError(cause, place=path, next_step=f"{step[0].upper()}{step[1:]}")


def weaknesses(path: Path) -> list[str]:
    """Return what is wrong with a key that is taken nevertheless: others can read it, or guess it."""
    key = load_key(path)
    found = []
    if os.name == "posix" and path.stat().st_mode & 0o077:
        found.append(f"Others can read {path}: make it yours alone with `chmod 600`.")
    if len(key) < _NEW or len(set(key)) < _LETTERS:
        found.append(f"The key in {path} can be guessed: better name a new file, for which a key is made.")
    return found


class Pseudonyms:
    """Replaces names, numbers, addresses and other identities, each by one of its own shape.

    Parameters
    ----------
    key : bytes
        The secret; with the same key the same thing gets the same replacement, in another log too.
    originals : iterable of str
        What must not appear in the result: no replacement is one of them, and no number in one is a number of theirs.
    """

    def __init__(self, key: bytes, originals: Iterable[str] = ()) -> None:
        self._key = key
        self._known: dict[tuple[str, str], str] = {}
        self._barred: set[str] = set()
        for text in originals:
            self._barred.update(_parts(text))

    def name(self, text: str) -> str:
        """Return another name of the same shape: digits stay digits, letters letters, a phone's model code stays.

        What is neither becomes `-`. A short name gets longer where no name of its own length is free.
        """
        match = re.fullmatch(table("privacy/kept")["phone"]["pattern"], text, re.ASCII)
        if match:
            return f"{self._assign('name', match['number'], self._shaped)}.{match['model']}"
        return self._assign("name", text, self._shaped)

    def address(self, text: str) -> str:
        """Return another IP address: a public one from a range that is routed nowhere, any other from its own range.

        What is no IP address is treated as a host name; addresses that name nobody (127.0.0.1, ::) stay.
        """
        if (address := normal_ip(text)) is None:
            return self.host(text)
        nobody = address in table("privacy/kept")["networks"]["nobody"]
        return address if nobody else self._assign("address", address, self._moved)

    def host(self, text: str) -> str:
        """Return another host name, in the domain that never exists (RFC 2606)."""
        return self._assign("host", text.lower(), lambda host, draw: f"h{self._hex('host', host, draw, 10)}.invalid")

    def user_agent(self, text: str) -> str:
        """Return another user agent string."""
        return self._assign("agent", text, lambda agent, draw: f"agent-{self._hex('agent', agent, draw, 8)}")

    def hexadecimal(self, text: str) -> str:
        """Return another number of as many hexadecimal digits, for call identifiers."""
        return self._assign("hex", text.lower(), lambda old, draw: self._hex("hex", old, draw, len(old)))

    def _assign(self, sort: str, text: str, draw: Draw) -> str:
        found = self._known.get((sort, text))
        if found is None:
            draws = ((n, draw(text, n)) for n in itertools.count())
            found = next(new for n, new in draws if self._free(new, crowded=n >= _TRIES))
            self._known[sort, text] = found
            self._barred.add(found.lower())
        return found

    def _free(self, new: str, *, crowded: bool) -> bool:
        """Whether nothing else is called so; where the numbers run out, a number may come back inside a longer name."""
        return self._barred.isdisjoint({new.lower()} if crowded else _parts(new))

    def _bytes(self, *parts: object) -> bytes:
        message = "\0".join(str(part) for part in parts).encode("utf-8", "surrogatepass")
        return hmac.new(self._key, message, hashlib.sha256).digest()

    def _hex(self, sort: str, text: str, draw: int, digits: int) -> str:
        blocks = range(digits // 64 + 1)
        return "".join(self._bytes(sort, text, draw, block).hex() for block in blocks)[:digits]

    def _shaped(self, text: str, draw: int) -> str:
        shape = text[:_LONGEST]
        shape += "x" * (draw // _TRIES)  # no digit: a longer number would look like a trunk's
        stream = self._hex("name", text, draw, 4 * len(shape))
        return "".join(_alike(char, int(stream[4 * i : 4 * i + 4], 16), first=i == 0) for i, char in enumerate(shape))

    def _moved(self, text: str, draw: int) -> str:
        address = ipaddress.ip_address(text)
        instead = table("privacy/kept")["networks"]
        home = next((net for net in networks(*KINDS) if address in net), None)
        if home is None and address.version == 4:
            home = ipaddress.ip_network(instead["public"][draw >= _TRIES])
            return str(home[int.from_bytes(self._bytes("public", text, draw)[:8]) % home.num_addresses])
        home = home or ipaddress.ip_network(instead["public_6"])
        # Neighbours stay together: a /24 or /64 becomes one other /24 or /64, until that is full.
        low = 8 if address.version == 4 else 64
        network = int.from_bytes(self._bytes("net", int(address) >> low, draw // 1024)[:16]) << low
        host = int.from_bytes(self._bytes("host", text, draw)[:8]) % (1 << low)
        return str(home[(network | host) % home.num_addresses])


def _parts(text: str) -> set[str]:
    """Return what of a name or address counts as itself: the whole, and every number of three digits and more."""
    numbers = [] if "." in text and text.replace(".", "").isdigit() else re.findall(r"\d{3,}", text)
    return {text.lower(), *numbers}


def _alike(char: str, number: int, *, first: bool) -> str:
    if char.isdecimal():
        if first:  # a leading zero is a trunk prefix and stays one
            return "0" if char == "0" else str(1 + number % 9)
        return str(number % 10)
    if char.isalpha():
        letters = string.ascii_uppercase if char.isupper() else string.ascii_lowercase
        return letters[number % 26]
    return char if char in "._-+/ #*" else "-"
