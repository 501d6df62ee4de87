"""One recorded log in the forms in which people hand logs over, none of which loses anything."""

# ruff: noqa: E501  (every form on one line)
from __future__ import annotations

import csv
import html
import io
import json
import quopri
import re
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Berlin")
HEAD = re.compile(r"^\[(?P<stamp>[^\]]+)\] (?P<level>[A-Z]+)\[(?P<thread>\d+)\] (?P<module>\S+): (?P<text>.*)$")
OPENED = re.compile(r"^\[(?P<stamp>[^\]]+)\] (?P<text>.*)$")


class Line:
    """One line of a recorded log, in its parts."""

    def __init__(self, number: int, text: str) -> None:
        found = HEAD.match(text) or OPENED.match(text)
        assert found, text
        parts = found.groupdict()
        self.number, self.whole, self.text = number, text, parts["text"]
        self.level, self.thread = parts.get("level") or "VERBOSE", parts.get("thread") or "1"
        self.module = parts.get("module") or "logger.c"
        self.headed = "level" in parts
        self.local = datetime.fromisoformat(parts["stamp"])
        self.aware = self.local.replace(tzinfo=ZONE)

    @property
    def rest(self) -> str:
        """What stands behind the stamp."""
        return self.whole.partition("] ")[2]

    @property
    def utc(self) -> datetime:
        return self.aware.astimezone(UTC)

    def stamped(self, stamp: str) -> str:
        """Return the line with another stamp."""
        return f"[{stamp}] {self.rest}"

    @property
    def console(self) -> str:
        """The line as Asterisk's console shows it, without a stamp of its own: verbose ones have no header."""
        if not self.headed:
            return self.text
        if self.level == "VERBOSE":
            return f"    -- {self.text}"
        return f"[{self.local:%b} {self.local.day:>2} {self.local:%H:%M:%S}] {self.place}"

    @property
    def place(self) -> str:
        return f"{self.level}[{self.thread}]: {self.module}:123 some_function: {self.text}"


def lines_of(text: str) -> list[Line]:
    return [Line(n, line) for n, line in enumerate(text.splitlines(), 1)]


Form = Callable[[list[Line]], str | bytes]
FORMS: dict[str, Form] = {}


def form(name: str) -> Callable[[Form], Form]:
    def enter(function: Form) -> Form:
        FORMS[name] = function
        return function

    return enter


def each(name: str, render: Callable[[Line], str], end: str = "\n") -> None:
    """Enter a form that writes every line for itself."""
    FORMS[name] = lambda lines: end.join(render(line) for line in lines) + end


def wrapped(text: str, width: int, first: str = "", others: str = "") -> str:
    """Return a line as a mail program breaks it: at a blank, the blanks there lost."""
    return "\n".join(
        textwrap.wrap(
            text, width, initial_indent=first, subsequent_indent=others, break_long_words=False, break_on_hyphens=False
        )
    )


PAIR = re.compile("  ")

# ---- copied from a page, saved by an editor ----
each("no-break spaces", lambda line: line.whole.replace("  ", "\u00a0 "))
each("every blank a no-break one", lambda line: line.whole.replace(" ", "\u00a0"))
each("narrow no-break spaces", lambda line: line.whole.replace("  ", " \u202f"))
each("blanks collapsed", lambda line: re.sub(" +", " ", line.whole))
each("entities", lambda line: html.escape(line.whole).replace("  ", " &nbsp;"))
each("numeric entities", lambda line: line.whole.replace("'", "&#39;").replace("  ", "&#160; ").replace("[", "&#91;"))
each("<br>", lambda line: line.whole + "<br>")
each("<br> and one physical line", lambda line: html.escape(line.whole) + "<br />", end="")
each("a page", lambda line: f"<div class='line'><span>{html.escape(line.whole)}</span></div>")
FORMS["a page with <pre>"] = lambda lines: (
    "<!DOCTYPE html>\n<html><head><title>PBX</title><style>pre { x: y }</style></head>\n<body><pre>"
    + "\n".join(html.escape(line.whole) for line in lines)
    + "</pre></body></html>\n"
)
FORMS["a table of a page"] = lambda lines: (
    "<table>"
    + "\n".join(f"<tr><td>{n}</td><td>{html.escape(x.whole)}</td></tr>" for n, x in enumerate(lines, 1))
    + "</table>"
)
QUOTED = re.compile(r"'([^' ]*)'")
each("guillemets for quotes", lambda line: QUOTED.sub("\u2039\\1\u203a", line.whole))
each("low and high quotes", lambda line: QUOTED.sub("\u201e\\1\u201c", line.whole))
each("backticks for quotes", lambda line: line.whole.replace("'", "`"))
each("single quotes, comma", lambda line: f"'{line.whole}',")
TYPESET = str.maketrans({"'": "\u2019", "-": "\u2011", '"': "\u201d"})
each("saved by Word", lambda line: re.sub(r"'([^' ]*)'", "\u2018\\1\u2019", line.whole).translate(TYPESET))
FORMS["saved by Word as cp1252"] = lambda lines: "\r\n".join(
    re.sub(r"'([^' ]*)'", "\u2018\\1\u2019", line.whole).replace("  ", "\u00a0 ") for line in lines
).encode("cp1252")
FORMS["UTF-16"] = lambda lines: "\r\n".join(line.whole for line in lines).encode("utf-16")
FORMS["byte order mark, CRLF"] = lambda lines: "\ufeff" + "".join(line.whole + "\r\n" for line in lines)
each("CR only", lambda line: line.whole, end="\r")

# ---- sent by mail, pasted into a forum ----
each("quoted", lambda line: "> " + line.whole)
each("quoted twice", lambda line: ">> " + line.whole)
each("with a bar", lambda line: "| " + line.whole)
each("wrapped at 76", lambda line: wrapped(line.whole, 76))
each("wrapped at 72 and quoted", lambda line: wrapped(line.whole, 72, "> ", "> "))
each("wrapped at 72 and quoted without a blank", lambda line: wrapped(line.whole, 72, ">>", ">>"))
each("quoted and wrapped at 76", lambda line: wrapped("> " + line.whole, 76))
each("wrapped at 72, flowed", lambda line: wrapped(line.whole, 71).replace("\n", " \n"))
each("cut into rows of 80", lambda line: "\n".join(line.whole[i : i + 80] for i in range(0, len(line.whole), 80)))
each("backticks", lambda line: f"`{line.whole}`")
each("double quotes", lambda line: f'"{line.whole}"')
each("[code] on each line", lambda line: f"[code]{line.whole}[/code]")
FORMS["a fence"] = lambda lines: "```\n" + "\n".join(line.whole for line in lines) + "\n```\n"
FORMS["[code] around all"] = lambda lines: "[code]" + "\n".join(line.whole for line in lines) + "[/code]\n"
FORMS["{noformat}, indented"] = lambda lines: (
    "{noformat}\n" + "\n".join("    " + x.whole for x in lines) + "\n{noformat}\n"
)
each("indented", lambda line: "\t" + line.whole)
each("first bracket lost", lambda line: line.whole[1:])
FORMS["a letter before and behind"] = lambda lines: (
    "Dear team,\n\nthe log:\n\n" + "\n".join("  " + x.whole for x in lines) + "\n\nKind regards\n"
)
FORMS["a mail file"] = lambda lines: _mail(lines)
FORMS["a mail's body alone"] = lambda lines: quopri.encodestring("".join(x.whole + "\n" for x in lines).encode())

# ---- numbered, grepped, glued, in another order ----
each("numbered, colon", lambda line: f"{line.number}: {line.whole}")
each("numbered, tab", lambda line: f"{line.number:6}\t{line.whole}")
each("numbered, blanks", lambda line: f"{line.number:6}  {line.whole}")
each("numbered, bar", lambda line: f"{line.number:>5}|{line.whole}")
each("grep", lambda line: f"full.1:{line.whole}")
each("grep -n", lambda line: f"/var/log/asterisk/full:{line.number}:{line.whole}")
FORMS["grep -C"] = lambda lines: "\n".join(
    f"full.1{':' if i % 3 else '-'}{x.whole}" + ("\n--" if i % 50 == 9 else "") for i, x in enumerate(lines)
)
FORMS["grepped over files, the newest first"] = lambda lines: _grepped(lines)
FORMS["rotated files, the newest first"] = lambda lines: "".join(
    x.whole + "\n" for part in _thirds(lines)[::-1] for x in part
)
FORMS["newest first"] = lambda lines: "".join(x.whole + "\n" for x in lines[::-1])
FORMS["two lines on one"] = lambda lines: "\n".join(
    "".join(x.whole for x in lines[i : i + 2]) for i in range(0, len(lines), 2)
)
FORMS["all on one line"] = lambda lines: " ".join(x.whole for x in lines)
FORMS["twice"] = lambda lines: "".join(x.whole + "\n" for x in (*lines, *lines))

# ---- colours written out ----
for name, escape in {
    "#033": "#033[", "caret": "^[[", "x1b": "\\x1b[", "u001b": "\\u001b[", "bare": "[", "raw": "\x1b[", "octal": "\\033[",
}.items():  # fmt: skip
    each(
        f"colours, {name}",
        lambda line, e=escape: (
            f"[{line.local}] {e}1;33m{line.level}{e}0m[{line.thread}]: {e}1;37m{line.module}{e}0m:{e}1;37m12{e}0m "
            f"{e}1;37mf{e}0m: {line.text}{e}0m"
            if line.headed
            else line.whole
        ),
    )

# ---- behind a collector's prefix ----
collector = {
    "journal": lambda t, x: f"{t:%b %d %H:%M:%S} pbx asterisk[812]: {x}",
    "journal precise": lambda t, x: f"{t:%b %d %H:%M:%S}.250000 pbx asterisk[812]: {x}",
    "journal iso": lambda t, x: f"{t:%Y-%m-%dT%H:%M:%S%z} pbx asterisk[812]: {x}",
    "journal full": lambda t, x: f"{t:%a %Y-%m-%d %H:%M:%S} CET pbx asterisk[812]: {x}".replace("CET", t.tzname()),
    "docker -t": lambda t, x: f"{t.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.123456789Z {x}",
    "compose -t": lambda t, x: f"asterisk-1  | {t.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.123456789Z {x}",
    "CRI": lambda t, x: f"{t.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.123456789Z stdout F {x}",
    "RFC 3164": lambda t, x: f"<134>{t:%b} {t.day:>2} {t:%H:%M:%S} pbx asterisk[812]: {x}",
    "RFC 5424": lambda t, x: f"<134>1 {t.isoformat(timespec='milliseconds')} pbx asterisk 812 - - {x}",
    "RFC 5424, data": lambda t, x: (
        f'<134>1 {t.isoformat()} pbx asterisk 812 - [meta sequenceId="7"][origin ip="10.0.0.1" note="a\\]b"] {x}'
    ),
    "CRI, in parts": lambda t, x: "".join(
        f"{t.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{n}Z stdout {tag} {part}"
        for n, (tag, part) in enumerate((("P", x[:37] + "\n"), ("P", x[37:49] + "\n"), ("F", x[49:])))
    ),
    "BSD": lambda t, x: f"{t:%b} {t.day:>2} {t:%H:%M:%S} <local0.notice> pbx asterisk[812]: {x}",
    "OpenWrt": lambda t, x: f"{t:%a %b} {t.day:>2} {t:%H:%M:%S %Y} daemon.notice asterisk[812]: {x}",
    "rsyslog": lambda t, x: f"{t.isoformat(timespec='microseconds')} pbx asterisk[812]: {x}",
}  # fmt: skip
for name, render in collector.items():
    each(f"{name}, console", lambda line, r=render: r(line.aware, line.console))
    each(f"{name}, file", lambda line, r=render: r(line.aware, line.whole))
each("compose", lambda line: f"asterisk-1  | {line.whole}")
each("kubectl --prefix", lambda line: f"[pod/pbx-0/asterisk] {line.whole}")


# ---- exported by a log search engine ----
def table(name: str, head: list[str], row: Callable[[Line], list[str]], **how: object) -> None:
    def write(lines: list[Line]) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n", **how)  # type: ignore[arg-type]
        writer.writerow(head)
        writer.writerows(row(line) for line in lines)
        return out.getvalue()

    FORMS[name] = write


def objects(name: str, render: Callable[[Line], object]) -> None:
    each(name, lambda line: json.dumps(render(line)))


def iso(line: Line) -> str:
    return f"{line.utc:%Y-%m-%dT%H:%M:%S}.000Z"


table("CSV", ["@timestamp", "host", "message"], lambda x: [iso(x), "pbx", x.whole], quoting=csv.QUOTE_ALL)
table("CSV, console text", ["@timestamp", "message"], lambda x: [iso(x), x.console.strip()], quoting=csv.QUOTE_ALL)
table("CSV, bare message", ["_time", "level", "_raw"], lambda x: [x.aware.isoformat(), x.level, x.text])
table(
    "CSV, the page's dates",
    ["@timestamp", "message"],
    lambda x: [f"{x.local:%b} {x.local.day}, {x.local:%Y @ %H:%M:%S}.000", x.whole],
)
table("CSV, newest first, ;", ["zeit", "text"], lambda x: [iso(x), x.whole], delimiter=";")
table("CSV, the line first", ["_raw", "host"], lambda x: [x.whole, "pbx"])
table("CSV, no stamp inside, ;", ["Zeit", "Host", "Text"], lambda x: [f"{x.local}", "pbx", x.rest], delimiter=";")
table(
    "CSV, newest first, the line last",
    ["_serial", "_time", "host", "_raw"],
    lambda x: [str(x.number), f"{x.aware.isoformat()}", "pbx", x.whole],
    quoting=csv.QUOTE_ALL,
)
table("TSV", ["timestamp", "message"], lambda x: [str(int(x.aware.timestamp() * 1000)), x.whole], delimiter="\t")
for name in ("CSV, newest first, ;", "CSV, newest first, the line last"):
    FORMS[name] = lambda lines, f=FORMS[name]: f(lines[::-1])
objects(
    "JSON lines, _source",
    lambda x: {"_index": "a", "_source": {"@timestamp": iso(x), "message": x.whole, "host": {"name": "pbx"}}},
)
objects("JSON lines, console text", lambda x: {"@timestamp": iso(x), "message": x.console})
objects("JSON lines, Loki", lambda x: {"labels": {"job": "pbx"}, "line": x.console, "timestamp": iso(x)})
objects("JSON lines, Splunk", lambda x: {"preview": False, "result": {"_time": x.aware.isoformat(), "_raw": x.whole}})
objects("docker json, console", lambda x: {"log": x.console + "\n", "stream": "stdout", "time": iso(x)})
objects(
    "journal json",
    lambda x: {"__REALTIME_TIMESTAMP": str(int(x.aware.timestamp() * 1e6)), "_PID": "812", "MESSAGE": x.console},
)
objects(
    "journal json, bytes",
    lambda x: {
        "__REALTIME_TIMESTAMP": str(int(x.aware.timestamp() * 1e6)),
        "MESSAGE": [*x.console.encode(), 27, 91, 109],
    },
)
FORMS["JSON, one array"] = lambda lines: json.dumps(
    [{"timestamp": int(x.aware.timestamp() * 1000), "message": x.whole} for x in lines]
)
FORMS["JSON, an answer of the engine"] = lambda lines: json.dumps(
    {
        "took": 3,
        "hits": {"total": len(lines), "hits": [{"_source": {"@timestamp": iso(x), "message": x.text}} for x in lines]},
    },
    indent=2,
)
FORMS["JSON, an answer of Loki"] = lambda lines: json.dumps(
    {
        "data": {
            "result": [
                {"stream": {"a": "b"}, "values": [[str(int(x.aware.timestamp() * 1e9)), x.whole] for x in lines[::-1]]}
            ]
        }
    }
)
FORMS["journal export"] = lambda lines: "\n".join(
    f"__CURSOR=s={x.number}\n__REALTIME_TIMESTAMP={int(x.aware.timestamp() * 1e6)}\n_PID=812\nMESSAGE={x.console}\n"
    for x in lines
)

# ---- read by a collector much later ----
later = [f"2027-01-07T06:00:{ms / 1000:06.3f}Z" for ms in range(0, 60_000, 40)]
objects("JSON lines, read later", lambda x: {"@timestamp": later[x.number], "message": x.whole})
each("rsyslog, read later", lambda x: f"{later[x.number]} pbx asterisk[9]: {x.stamped(f'{x.local:%b %d %H:%M:%S}')}")

# ---- masked, other dates ----
ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
for name, mask in {
    "XXX": "XXX.XXX.XXX.XXX",
    "last number": "203.0.113.x",
    "[IP]": "[IP]",
    "stars": "***",
    "word": "<redacted>",
}.items():
    each(f"masked, {name}", lambda line, m=mask: ADDRESS.sub(m, line.whole))
for name, pattern in {
    "ISO with T and zone": "%Y-%m-%dT%H:%M:%S%z", "comma": "%Y-%m-%d %H:%M:%S,250", "point": "%Y-%m-%d %H:%M:%S.250000",
    "German": "%d.%m.%Y %H:%M:%S", "German, comma between": "%d.%m.%Y, %H:%M:%S", "American": "%m/%d/%Y %H:%M:%S",
    "American, half a day": "%m/%d/%Y %I:%M:%S %p", "French": "%d/%m/%Y %H:%M:%S", "epoch": "%s",
    "web server": "%d/%b/%Y:%H:%M:%S %z", "short, half a day": "%b %d %Y %I:%M:%S %p", "year of two digits": "%d.%m.%y %H:%M:%S", "UTC": "UTC",
}.items():  # fmt: skip
    each(
        f"dates, {name}",
        lambda line, p=pattern: line.stamped(
            f"{line.utc:%Y-%m-%d %H:%M:%S} UTC"
            if p == "UTC"
            else f"{int(line.aware.timestamp())}"
            if p == "%s"
            else line.aware.strftime(p)
        ),
    )
each("dates without brackets", lambda line: f"{line.local} {line.rest}")


def _thirds(lines: list[Line]) -> list[list[Line]]:
    at = [len(lines) * i // 3 for i in range(4)]
    return [lines[a:b] for a, b in pairwise(at)]


def _grepped(lines: list[Line]) -> str:
    names = ("full.2", "full.1", "full")
    parts = list(zip(names, _thirds(lines), strict=True))[::-1]
    return "".join(f"{name}:{x.whole}\n" for name, part in parts for x in part)


def _mail(lines: list[Line]) -> bytes:
    from email.message import EmailMessage

    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "the log", "a@example.com", "b@example.com"
    message.set_content(
        "Dear team,\n\n" + "\n".join(x.whole for x in lines) + "\n\nKind regards\u00e9\n", cte="quoted-printable"
    )
    return bytes(message)
