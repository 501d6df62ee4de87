"""One understood line with every identity in it replaced; layout, stamp and measured values stay.

What the patterns of the catalogue name (peer, address, contact ...) is replaced by its own kind. What they leave open
is kept only where it is a word of the message itself; anything else is replaced too, so that nothing unknown passes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container
from functools import cache, partial

from starface_nb.privacy.pseudonyms import Pseudonyms, kept

Replace = Callable[[str], str]

_KEPT_GROUPS = frozenset({"port", "rtt_ms", "limit_ms", "last_rtt_ms", "state", "bytes"})
_TOKEN = re.compile(
    r"(?P<address>\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]|(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]))"
    r"(?P<port>:\d{1,5}\b)?|(?P<word>[^\W_](?:[\w.+-]*\w)?)|(?P<other>[^\x20-\x7e])"
)
_CALL_ID = re.compile(r"\[C-([0-9A-Fa-f]+)\]")
_COLOUR = re.compile(r"(?:\x1b|#033)\[[0-9;]*[A-Za-z]")
# In a header: thread and line numbers, source files and functions. A host's name has no underscore (RFC 952).
_NUMBERS_AND_CODE = re.compile(
    r"(?<![\w.-])\d{1,7}(?![\w.-])|\b[A-Za-z]\w*\.c\b|\b[a-z]+_[a-z0-9_]+\b|\b[A-Z]{3,9}(?=\[)"
)
_DATES_NUMBERS_AND_CODE = re.compile(
    rf"{_NUMBERS_AND_CODE.pattern}|\b\d{{4}}-\d\d-\d\d(?:T\d\d)?\b|\b\d\d[.]\d{{1,6}}\b|\b[A-Z][a-z]{{2}}(?= +\d)"
)
_COUNTS = re.compile(r"\b\d+(?= (?:seconds|modules)\b)|(?<=Asterisk )\d+\.\d+\.\d+(?= built by)")
_ENDPOINT = re.compile(r"(?P<address>\[[^\]]*\]|[^:]*|.*?)(?P<port>:\d{1,5})?", re.DOTALL)
_URI = re.compile(
    r"(?P<scheme>sips?:)(?:(?P<user>[^@]*)@)?(?P<host>\[[^\]]*\]|[^:;?>]*)(?P<port>:\d{1,5})?(?P<rest>.*)", re.DOTALL
)


@cache
def _kept_words(what: str) -> frozenset[str]:
    return frozenset(word for text in kept()[what] for word in re.findall(r"[^\W_](?:[\w.+-]*\w)?", text))


class Rewriter:
    """Rewrites understood lines.

    Parameters
    ----------
    pseudonyms : Pseudonyms
    """

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._names = pseudonyms
        self._groups: dict[str, Replace] = {
            "peer": pseudonyms.name,
            "endpoint": self._endpoint,
            "address": pseudonyms.address,
            "contact": self._contact,
            "agent": pseudonyms.user_agent,
        }

    def line(self, text: str, layout: str, old_stamp: str, old_message: str, stamp: str, message: str) -> str | None:
        """Return a line with another stamp and message and nobody's identity in its header; None where that fails.

        Parameters
        ----------
        text : str
            The line without its end.
        layout, old_stamp, old_message : str
            Its layout, stamp and message as `read_headers` tells them.
        stamp, message : str
            What takes the place of its stamp and of its message.
        """
        text = _plain(text, layout)
        if layout == "json":
            return self._json(text, stamp, message)
        if not text.endswith(old_message):
            return None
        header = text[: len(text) - len(old_message)]
        before, _, after = header.partition(old_stamp) if old_stamp else (header, "", "")
        moved = stamp != old_stamp
        return self._header(before, moved) + stamp + self._header(after, moved) + message

    def message(self, body: str, pattern: str, peer: str | None = None) -> str | None:
        """Return a message with its identities replaced; None if the pattern does not read it.

        Parameters
        ----------
        body : str
            The message without verbosity mark.
        pattern : str
            Its pattern in the catalogue.
        peer : str or None
            Who it is about, where that had to be read out of a SIP identity.
        """
        match = _pattern(pattern).match(body)
        if match is None:
            return None
        own = _words(pattern)
        handlers: dict[str, Replace] = {
            **self._groups,
            "identity": partial(self._identity, user=peer),
            "detail": partial(self.scrub, allowed=own | _kept_words("reasons")),
        }

        def between(text: str) -> str:
            return self.scrub(text, own | _kept_words("opened") | set(_COUNTS.findall(text)))

        out, at = [], 0
        for (first, last), name in sorted((match.span(name), name) for name in match.re.groupindex if match[name]):
            if first >= at:
                kind, value = name.rstrip("0123456789"), match[name]
                out += [
                    between(body[at:first]),
                    value if kind in _KEPT_GROUPS else handlers.get(kind, self.scrub)(value),
                ]
                at = last
        return "".join([*out, between(body[at : match.end()])])

    def scrub(self, text: str, allowed: Container[str] = ()) -> str:
        """Return free text with every word and address replaced that is not `allowed`."""

        def one(match: re.Match[str]) -> str:
            if match["address"]:
                return self._bracketed(match["address"]) + (match["port"] or "")
            word = match["word"]
            if word is None:
                return "-"
            return word if word in allowed else self._names.name(word)

        return _TOKEN.sub(one, text)

    def _header(self, text: str, moved: bool) -> str:
        """Replace host names and call identifiers in what stands around a header's stamp; other dates only if moved."""
        if not text:
            return ""
        call = _CALL_ID.search(text)
        if call:
            number = self._names.hexadecimal(call[1])
            return f"{self._header(text[: call.start()], moved)}[C-{number}]{self._header(text[call.end() :], moved)}"
        known = _NUMBERS_AND_CODE if moved else _DATES_NUMBERS_AND_CODE
        return self.scrub(text, {*_kept_words("header"), *known.findall(text)})

    def _json(self, text: str, stamp: str, message: str) -> str:
        entry = json.loads(text)
        logged, known = entry["logmsg"], entry.get("identifiers", {})
        identifiers, call = {"lwp": known.get("lwp")}, known.get("callid")
        if isinstance(call, str):
            identifiers["callid"] = "C-" + self._names.hexadecimal(call.rpartition("-")[2])
        location = {key: logged["location"].get(key) for key in ("filename", "function", "line")}
        whole = {
            "hostname": self._names.host(str(entry.get("hostname", ""))),
            "timestamp": stamp,
            "identifiers": identifiers,
            "logmsg": {"location": location, "level": logged.get("level"), "message": message + "\n"},
        }
        return json.dumps(whole)

    def _identity(self, text: str, user: str | None) -> str:
        """Return a SIP name and address in plain form; its user part is all that the diagnosis reads of it."""
        display = re.match(r'\s*"([^"]*)"|([^<:@]*)(?=<)', text)
        shown = next((part.strip() for part in display.groups() if part), "") if display else ""
        host = self._names.host(text.rpartition("@")[2].strip(" <>")) if "@" in text else "unknown.invalid"
        uri = f"<sip:{host}>" if user is None else f"<sip:{self._names.name(user)}@{host}>"
        return f'"{self._names.name(shown)}" {uri}' if shown else uri

    def _endpoint(self, text: str) -> str:
        match = _ENDPOINT.fullmatch(text)
        if match is None or (text.count(":") > 1 and not text.startswith("[")):
            return self._names.address(text)
        return self._bracketed(match["address"]) + (match["port"] or "")

    def _bracketed(self, text: str) -> str:
        return f"[{self._names.address(text[1:-1])}]" if text.startswith("[") else self._names.address(text)

    def _contact(self, text: str) -> str:
        match = _URI.fullmatch(text)
        if match is None:
            return self.scrub(text, _kept_words("uri"))
        user = "" if match["user"] is None else self._names.name(match["user"]) + "@"
        host = self._bracketed(match["host"]) + (match["port"] or "")
        return match["scheme"] + user + host + self.scrub(match["rest"], _kept_words("uri"))


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    """Return a catalogue pattern, written for Rust's regex, as Python's."""
    return re.compile(re.sub(r"\\x\{([0-9A-Fa-f]+)\}", lambda m: re.escape(chr(int(m[1], 16))), pattern))


def _plain(text: str, layout: str) -> str:
    """Return a line without colours, and what a container engine wrapped."""
    if layout != "json" and text.lstrip().startswith("{"):
        text = str(json.loads(text)["log"]).rstrip("\r\n")
    return _COLOUR.sub("", text)


@cache
def _words(pattern: str) -> frozenset[str]:
    """Return the words that a message itself consists of."""
    bare = re.sub(r"\(\?P<\w+>", "(", pattern)
    choices = (bare, re.sub(r"\(\?:(\w+)\)\?", r"\1", bare), re.sub(r"\(\?:\w+\)\?", "", bare))
    return frozenset(word for text in choices for word in re.findall(r"[A-Za-z_][A-Za-z0-9_]*", text))
