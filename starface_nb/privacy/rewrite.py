"""One understood message with every identity in it replaced; measured values stay.

What the patterns of the catalogue name (peer, address, contact ...) is replaced by its own kind. What they leave open
is kept only where it is a word of the message itself; anything else is replaced too, so that nothing unknown passes.
"""

import re
from collections.abc import Callable, Container
from functools import cache, partial

from starface_nb.privacy.pseudonyms import Pseudonyms
from starface_nb.tables import table

Replace = Callable[[str], str]

_KEPT_GROUPS = ("port", "rtt_ms", "limit_ms", "last_rtt_ms", "lease_s", "state", "bytes")
_TOKEN = re.compile(
    r"(?P<address>\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]|(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]))"
    r"(?P<port>:\d{1,5}\b)?|(?P<word>[^\W_](?:[\w.+-]*\w)?)|(?P<other>[^\x20-\x7e])"
)
_COUNTS = re.compile(r"\b\d+(?= (?:seconds|modules)\b)|(?<=Asterisk )\d+\.\d+\.\d+(?= built by)")
_ENDPOINT = re.compile(r"(?P<address>\[[^\]]*\]|[^:]*|.*?)(?P<port>:\d{1,5})?", re.DOTALL)
_URI = re.compile(
    r"(?P<scheme>sips?:)(?:(?P<user>[^@]*)@)?(?P<host>\[[^\]]*\]|[^:;?>]*)(?P<port>:\d{1,5})?(?P<rest>.*)", re.DOTALL
)


@cache
def _kept_words(what: str) -> frozenset[str]:
    texts = table("privacy/kept")[what]
    return frozenset(word for text in texts for word in re.findall(r"[^\W_](?:[\w.+-]*\w)?", text))


class Rewriter:
    """Rewrites understood messages.

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
            **dict.fromkeys(_KEPT_GROUPS, str),
            **self._groups,
            "identity": partial(self._identity, user=peer),
            "detail": partial(self.scrub, allowed=own | _kept_words("reasons")),
        }

        def between(text: str) -> str:
            return self.scrub(text, own | _kept_words("opened") | set(_COUNTS.findall(text)))

        out, at = [], 0
        for (first, last), name in sorted((match.span(name), name) for name in match.re.groupindex if match[name]):
            if first >= at:
                replaced = handlers.get(name.rstrip("0123456789"), self.scrub)
                out += [between(body[at:first]), replaced(match[name])]
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


@cache
def _words(pattern: str) -> frozenset[str]:
    """Return the words that a message itself consists of."""
    bare = re.sub(r"\(\?P<\w+>", "(", pattern)
    choices = (bare, re.sub(r"\(\?:(\w+)\)\?", r"\1", bare), re.sub(r"\(\?:\w+\)\?", "", bare))
    return frozenset(word for text in choices for word in re.findall(r"[A-Za-z_][A-Za-z0-9_]*", text))
