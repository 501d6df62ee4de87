"""How a log line begins: reads `layouts.toml` and splits lines into stamp, module and message."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate

import polars as pl

from starface_nb.tables import table

_PARTS = ("stamp", "level", "module", "message")
# A terminal's sequences, colours above all, also written out or cut (as in forms.toml); what else steers one before a
# line; and the console's prompt.
_ESCAPE = (
    r"(?:(?:\x1b|#033|\^\[|␛|\\(?:x1[bB]|u001[bB]|033|e))\[[0-9;?]*[A-Za-z]|\[(?:(?:[0-9]{1,2};)*[0-9]{1,2}m|m\b))"
)
_COLOUR = rf"^(?: *(?:{_ESCAPE}|[\x00-\x1a\x1c-\x1f\x7f]|[\w.-]*\*CLI> ?))+|{_ESCAPE}"
_VERBOSE_PREFIX = r"^(?:\[[^\[\]]{6,48}\] ?)?\s*(?:(?:--|==|>) +)?"
# A cut entry (LOGMSG_SIZE, 20.20.1 logger.c:100) is at least this long before the next one follows on its line.
CUT_AT = 8000
_LONGEST_PREFIX = 300
_EDGE_LINES = 200
HEADER = r"\[[^\[\]=\"]{6,48}\] ?[A-Za-z]\w*\[-?\d+\](?:\[C-[0-9A-Fa-f]+\])?:? [^\s:\"'\[\]]+\.[a-z]+:"


@dataclass(frozen=True)
class Layout:
    """One way a line may begin; see the head of `layouts.toml`."""

    name: str
    style: str
    pattern: str
    source: str
    samples: Sequence[Sequence[str]]
    message: str = ""


@cache
def layouts() -> tuple[Layout, ...]:
    """Return the layouts in the order in which they are tried; JSON lines are read before all of them."""
    known = table("reading/layouts")["layout"]
    return tuple(Layout(**one | {"pattern": f"^(?P<header>{one['pattern']})"}) for one in known)


def read_headers(text: pl.Series) -> pl.DataFrame:
    """Split lines into header and message.

    Parameters
    ----------
    text : polars.Series of String, shape (n,)

    Returns
    -------
    polars.DataFrame, shape (n, 5)
        `layout` (name, "json" or "none"), `stamp`, `level`, `module` (base name) and `message`, all
        String; what a line does not have is an empty string. `message` still carries its verbose prefix.
    """
    done, rest = _read_json(text.to_frame("text").with_row_index("row"))
    full = [layout for layout in layouts() if layout.style != "bare"]
    rest = _read_with(full, rest, done)
    coloured = pl.col("text").str.contains(_COLOUR)
    bare = rest.filter(coloured).with_columns(pl.col("text").str.replace_all(_COLOUR, ""))
    rest = pl.concat([rest.filter(~coloured), _read_with(full, bare, done)])
    rest = _read_with([layout for layout in layouts() if layout not in full], rest, done)
    done.append(_parts(rest.rename({"text": "message"}), "none"))
    split = done[0] if done[0].height == text.len() else pl.concat(done).sort("row")
    return split.drop("row").with_columns(pl.col("module").str.replace(r"^.*/", ""))


def _parts(found: pl.DataFrame, layout: str) -> pl.DataFrame:
    """Return `found` with all parts of a header, the missing ones empty."""
    return found.select(
        "row",
        pl.lit(layout, _layout_type()).alias("layout"),
        *((pl.col(p).fill_null("") if p in found.columns else pl.lit("").alias(p)) for p in _PARTS),
    )


@cache
def _layout_type() -> pl.Enum:
    return pl.Enum([*(layout.name for layout in layouts()), "json", "none"])


def _read_with(some: list[Layout], rows: pl.DataFrame, done: list[pl.DataFrame]) -> pl.DataFrame:
    """Append what the layouts read of `rows` to `done`; return the rows that none of them reads."""
    for layout in some:
        if not rows.height:
            break
        read = rows.with_columns(pl.col("text").str.extract_groups(layout.pattern).struct.unnest())
        if read["header"].null_count() == rows.height:
            continue
        read = read.with_columns(pl.col("text").str.strip_prefix(pl.col("header")).alias("message"))
        hit = pl.col("header").is_not_null()
        if layout.message:
            hit &= pl.col("message").str.contains(layout.message)
        found = read.filter(hit)
        done.append(_parts(found, layout.name))
        rows = rows.filter(read.select(~hit).to_series()) if found.height < rows.height else rows.clear()
    return rows


def _read_json(rows: pl.DataFrame) -> tuple[list[pl.DataFrame], pl.DataFrame]:
    """Read Asterisk's [json] objects (20.20.1 logger.c:272); text in a container engine's wrapper is unpacked."""
    like = pl.col("text").str.contains(r"^\s*\{")
    objects = rows.filter(like)
    if not objects.height:
        return [], rows
    decoded = pl.DataFrame([_json_parts(t) for t in objects["text"]], schema=_JSON, orient="row")
    decoded = decoded.with_columns(row=objects["row"])
    found = decoded.filter(pl.col("message").is_not_null())
    wrapped = decoded.filter(pl.col("text").is_not_null()).select("row", "text")
    rest = pl.concat([rows.join(decoded.filter(pl.col("layout") != ""), on="row", how="anti"), wrapped]).sort("row")
    return [_parts(found, "json")], rest


_JSON = {"layout": pl.String, "stamp": pl.String, "module": pl.String, "message": pl.String, "text": pl.String}


def _json_parts(text: str) -> tuple[str, str | None, str | None, str | None, str | None]:
    try:
        entry = json.loads(text)
        if isinstance(entry.get("log"), str):
            return "wrapped", None, None, None, entry["log"].rstrip("\r\n")
        logged = entry["logmsg"]
        message = logged["message"].strip("\r\n").split("\n", 1)[0]
        return "json", str(entry["timestamp"]), str(logged["location"]["filename"]), message, None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "", None, None, None, None


@dataclass(frozen=True)
class Ends:
    """First and last bytes of a file of `size` bytes; its first and last whole lines date and describe it."""

    head: bytes
    tail: bytes
    size: int

    @cached_property
    def lines(self) -> dict[int, bytes]:
        """Some of the first and last lines, by their byte offsets."""
        first, last = _with_offsets(self.head, 0), _with_offsets(self.tail, self.size - len(self.tail))
        if len(self.head) < self.size:
            first = first[:-1]  # the last one is cut
        if len(self.tail) < self.size:
            last = last[1:]
        return dict([*first[:_EDGE_LINES], *last[-_EDGE_LINES:]])


def _with_offsets(text: bytes, start: int) -> list[tuple[int, bytes]]:
    lines = text.split(b"\n")
    return list(zip(accumulate((len(line) + 1 for line in lines), initial=start), lines, strict=False))


def usual_prefix(ends: Iterable[bytes]) -> str | None:
    """Return a regex of what stands before the header in most lines (grep's file name, a container's), or None.

    Parameters
    ----------
    ends : iterable of bytes
        A file's first and last lines. What is before a header only here and there is somebody's text, and so it is
        where other headers have nothing before them: what a tool puts before lines, it puts before all.
    """
    lines = [line.decode("utf-8", "replace").strip("\ufeff\0") for line in ends if line]
    shapes: Counter[str] = Counter()
    for line in lines:
        found = re.search(HEADER, line[: _LONGEST_PREFIX + 1])
        if found and not line.startswith("{"):
            shapes[re.sub(r"\d+", "9", line[: found.start()])] += 1
    bare = shapes.pop("", 0)
    usual = [shape for shape, n in shapes.items() if n * 50 >= shapes.total()]
    if not usual or shapes.total() * 3 < len(lines) or bare * 50 > shapes.total():
        return None
    one = [re.sub(r"\\-|:", "[:-]", re.escape(shape).replace("9", "[0-9]+")) for shape in sorted(usual, key=len)[::-1]]
    pattern = f"^(?:{'|'.join(one)})"
    return pattern if 2 * sum(bool(re.match(pattern, line)) for line in lines) > len(lines) else None


def verbose_prefix_off(message: pl.Expr) -> pl.Expr:
    """Strip the console's verbosity mark, and the date that 12 and older repeat before it, from a message."""
    return message.str.replace(_VERBOSE_PREFIX, "")
