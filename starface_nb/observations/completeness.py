"""Which lines a log lacks, told by what the PBX could never have written so.

chan_sip writes UNREACHABLE once until an answer came in time (a later one carries that answer's round trip), and
Reachable once until the peer is lost or registers anew (chan_sip.c 20.20.1:24560 and 30572); res_pjsip writes a
contact's state where it changes (pjsip_options.c 20.20.1:741).
"""

import re
from dataclasses import dataclass, field

import polars as pl

from starface_nb.frames import UTC_TIME
from starface_nb.observations.intervals import down_at_the_end, of_kind
from starface_nb.observations.pauses import GAPS, missing_parts
from starface_nb.observations.story import SAME_MOMENT_S
from starface_nb.reading.belief import QUOTING, UNTIMED
from starface_nb.reading.log import Log

MISSING = ("times", "seconds", "unreachable", "reachable", "notice", "registered", "others", "unread", "renewals",
           "parts", "rest", "discarded", "searched", "cut")  # fmt: skip
"""Kinds of lines that a log may lack: `notice` are all lines about reachability, `others` those of all phones but one,
`unread` such as seem to tell of losses and could not be read, `renewals` such as come late: the log ends before any
phone had to renew its entry, `parts` those of a log, `rest` what stands behind the damage of a file or in one that may
not be read, `discarded` those that were never written, `searched` all without UNREACHABLE or Reachable, `cut` the ends
of the lines."""

FORBID_ALL_CLEAR = frozenset(MISSING) - {"registered", "parts", "rest"}
"""Without these silence is no evidence; without registrations, and in what is there of a log or a file, it still is."""
STATES = frozenset({"unreachable", "reachable", "unread", "discarded"})
"""Without these a phone that has registered may be probed though no line tells its state."""

LIMIT_MS = 2000.0
"""chan_sip's usual limit of a round trip (`qualify=yes`)."""
FEW, MOST = 0.02, 0.3
"""Share of lines whose counterpart is missing from which on lines are filtered, and from which on nothing is told."""
AGAIN_REGISTERED = (3, 0.2)
"""Returns that only a forgotten registration would explain: so many, and this share of all or of those after the last
loss, are more than chance; twice as many in a row show that losses were filtered from there on."""
ONE_KIND_LINES, ONE_PEER_LINES = 2, 6
"""A file of that many lines, all of one kind or of one peer, was filtered."""
WITHOUT_SECONDS = LEAST_CUT = 10
"""So many moments in a row at full minutes show stamps without seconds: by chance one in sixty is; so do all of 3. So
many lines of one length that could not be read, with different ends, show that lines were cut off."""
STOPPED, STOPPED_S = 3, 60.0
"""So many registrations, this long after the last line about reachability, show that such lines stopped."""
REFUSED = re.compile(r"skipped: .*: (permission denied|cannot be opened \()", re.DOTALL)
"""Begin of a note on a file or folder that the system did not let be read."""
LOSS_LIKE = r"(?i)unreachable"

HOLES: dict[str, pl.DataType | type[pl.DataType]] = {"peer": pl.String, "from": UTC_TIME, "to": UTC_TIME}


@dataclass(frozen=True)
class Lacking:
    """What a log lacks.

    Attributes
    ----------
    missing : tuple of str
        Words of `MISSING`, in that order.
    one_sided : bool
        So many losses or returns are missing, or times are so coarse, that neither losses nor silence can be judged.
    holes : polars.DataFrame
        peer, from, to: stretches of a peer in which a line must be missing.
    without_time : int
        Events whose line has no time.
    gaps : polars.DataFrame
        start, end: between which parts of a log are missing.
    deaf : polars.DataFrame
        start, end: from when on lines about reachability are missing up to the log's end; empty where they are not.
    """

    missing: tuple[str, ...] = ()
    one_sided: bool = False
    holes: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=HOLES))
    without_time: int = 0
    gaps: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=GAPS))
    deaf: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=GAPS))

    @property
    def complete(self) -> bool:
        """Nothing is missing."""
        return not self.missing

    @property
    def silence_tells(self) -> bool:
        """Whether "no loss" can be told from this log at all."""
        return not FORBID_ALL_CLEAR & set(self.missing)

    @property
    def more_would_tell(self) -> bool:
        """Whether more of the same log would tell what this one does not."""
        return not FORBID_ALL_CLEAR & set(self.missing) - {"renewals"}


def find_lacking(log: Log, states: pl.DataFrame) -> Lacking:
    """Say which lines a log lacks.

    Parameters
    ----------
    log : Log
    states : polars.DataFrame
        Events with a time, with `row` and `state`, from `intervals.with_states`.
    """
    counts = dict(log.events.group_by(pl.col("kind").cast(pl.String)).len().iter_rows())
    gaps = missing_parts(log, states)
    lines = _state_lines(states, gaps)
    down, up = counts.get("unreachable", 0), counts.get("reachable", 0) + counts.get("lagged", 0)
    lost_again, back_again, silent_back = (int(lines[name].sum()) for name in ("lost_again", "back_again", "anew"))
    least, share = AGAIN_REGISTERED
    run = lines.filter("back").sort("row")["anew"].cast(pl.Int64).rolling_sum(2 * least).max()
    end = lines.filter("back", pl.col("row") >= (lines.filter("lost")["row"].max() or 0))
    stretches = (silent_back, up), (int(end["anew"].sum()), end.height)
    forgotten = run == 2 * least or any(anew >= max(least, share * back) for anew, back in stretches)
    nothing_else = log.lines <= sum(counts.values())
    only = nothing_else and len(counts) == 1 and down + up >= ONE_KIND_LINES
    found = {
        "reachable": lost_again > FEW * down or (only and not up),
        "unreachable": back_again > FEW * up or forgotten or (only and not down),
        "notice": _without_states(states) >= (1 if not down and not up else STOPPED),
        "registered": not counts.get("registered", 0),
        "others": _of_one_peer(log),
    }
    doubtful = log.unparsed.filter(~pl.col("reason").is_in(QUOTING))
    unread = doubtful.select((pl.col("text").str.contains(LOSS_LIKE) | (pl.col("reason") == UNTIMED)).sum()).item()
    if not (down or up or found["notice"] or unread):
        found |= {"unreachable": True, "reachable": True}
    searched = nothing_else and set(counts) == {"unreachable", "reachable"}
    cut = _cut_off(doubtful)
    if cut or (searched and (found["unreachable"] or found["reachable"])):
        found |= {"unreachable": False, "reachable": False, "cut" if cut else "searched": True}
    untimed, thrown = log.events["time"].null_count(), 0 if log.pauses is None else log.pauses["discarded"].sum()
    found |= {"unread": unread, "parts": gaps.height, "times": untimed and 2 * untimed >= log.events.height}
    found |= {"rest": any(file.damaged for file in log.files) or any(map(REFUSED.match, log.notes))}  # was not read
    found |= {"discarded": thrown > FEW * log.lines}  # of fewer what they leave open is a hole, as that of a pause
    found |= {"seconds": _without_seconds(log.events)}
    lopsided = lost_again > MOST * down or (back_again + silent_back * forgotten) > MOST * up
    one_sided = lopsided or (found["reachable"] and not up) or (found["unreachable"] and not down)
    missing = tuple(name for name in MISSING if found.get(name))
    one_sided = one_sided or found["seconds"] or not (down or up)
    deaf = _deaf(states) if "notice" in missing and (down or up) else gaps.clear()
    broken = lines.filter(pl.any_horizontal("lost_again", "back_again", "anew")).sort("row")
    holes = broken.select("peer", pl.col("before").alias("from"), pl.col("time").alias("to"))
    return Lacking(missing, bool(one_sided), holes, int(untimed), gaps, deaf)


def _without_seconds(events: pl.DataFrame) -> bool:
    """Say whether the log, or a part of it, was written with a dateformat without seconds.

    What one device does every minute, at the full one by chance, counts once.
    """
    what = events.select("time", "peer", "kind").drop_nulls("time")
    again = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1)) for name in ("peer", "kind"))
    moments = what.filter(~again | (pl.int_range(pl.len()) == 0))["time"].unique().sort()
    full = (moments == moments.dt.truncate("1m")).cast(pl.Int64)
    in_a_row = full.rolling_sum(WITHOUT_SECONDS).max() == WITHOUT_SECONDS
    return in_a_row or 2 < len(full) == full.sum()


def _cut_off(doubtful: pl.DataFrame) -> bool:
    """Say whether most lines that could not be read are as long as the longest, whatever they end with."""
    length, end = pl.col("text").str.len_chars(), pl.col("text").str.slice(-1).str.replace_all(r"\d", "9")
    longest = doubtful.filter(length == length.max())
    many = longest.height >= LEAST_CUT and 2 * longest.height > doubtful.height
    return bool(many and longest.select(end.n_unique()).item() > 1)


def _without_states(states: pl.DataFrame) -> int:
    """Count the registrations after the last state line: each would have brought a probe, and most of them a line."""
    last = states.filter(pl.col("state").is_not_null() & (pl.col("kind") != "unregistered"))["time"].max()
    lines = of_kind(states, "registered")
    late = True if last is None else pl.col("time") > pl.lit(last) + pl.duration(seconds=int(STOPPED_S))
    return lines.filter(late).height


def _deaf(states: pl.DataFrame) -> pl.DataFrame:
    """Return since when lines about reachability are missing: phones not lost then have registered without one since.

    One that is lost and never answers may register without one as well.
    """
    last, lost = states.drop_nulls("state")["time"].max(), down_at_the_end(states).implode()
    anew = of_kind(states, "registered").filter(pl.col("time") > pl.lit(last), ~pl.col("peer").is_in(lost))
    return pl.DataFrame([(last, states["time"].max())] if anew.height else [], schema=GAPS, orient="row")


def _of_one_peer(log: Log) -> bool:
    """Say whether all lines of the log are about one peer."""
    peers = log.events["peer"]
    alone = peers.null_count() == 0 and peers.n_unique() == 1
    return alone and log.lines >= ONE_PEER_LINES and log.events.height >= 0.6 * log.lines


def _state_lines(states: pl.DataFrame, gaps: pl.DataFrame) -> pl.DataFrame:
    """Return the lines that tell a state, with what came before them and whether that could be so.

    `lost_again`: a loss although nothing came back; `back_again`: a return although nothing was lost; `anew`: the same,
    but a registration stands beside it, after which a peer that had been forgotten is called reachable once more.
    """
    starts = pl.col("kind").is_in(["restart", "reload", "shutdown"]).cum_sum()
    starts += pl.sum_horizontal(pl.lit(0), *(pl.col("time") >= pl.lit(end, UTC_TIME) for end in gaps["end"]))
    code = pl.col("peer", "contact").cast(pl.Categorical).to_physical().name.prefix("of_")
    needed = ("row", "kind", "peer", "contact", "time", "tech", "limit_ms", "last_rtt_ms")
    rows = states.select(*needed, code, starts.alias("process")).filter(pl.col("peer").is_not_null())
    rows = rows.sort("of_peer", maintain_order=True)
    said = pl.col("kind").is_in(["unreachable", "reachable", "lagged"])
    fresh = pl.col("kind").is_in(["unregistered", "expired"]).cum_sum()
    added = (pl.col("kind") == "registered").cum_sum()
    rows = rows.with_columns(fresh.alias("forgotten"), added.alias("added")).filter(said)
    # Sorted, as a window over so many peers takes longer.
    rows = rows.sort("of_peer", "of_contact", maintain_order=True)
    mine = pl.all_horizontal(pl.col(of).eq_missing(pl.col(of).shift(1)) for of in ("of_peer", "of_contact"))
    names = ("kind", "process", "forgotten", "added", "time")
    was = {name: pl.when(mine).then(pl.col(name).shift(1)) for name in names}
    sip = pl.col("tech") != "PJSIP"
    # An endpoint is called Unreachable whenever its last contact goes, whatever the reason.
    endpoint = ~sip & pl.col("contact").is_null()
    same = (was["process"] == pl.col("process")) & (endpoint | (was["forgotten"] == pl.col("forgotten")))
    # A second line of one change, of which res_pjsip writes several; its contacts come and go with a registration.
    apart = (pl.col("time") - was["time"]) > pl.duration(seconds=int(SAME_MOMENT_S))
    same &= apart & (sip | endpoint | (was["added"] == pl.col("added")))
    limit = pl.col("limit_ms").max().over("of_peer").fill_null(LIMIT_MS)
    in_time = (pl.col("last_rtt_ms") > 0) & (pl.col("last_rtt_ms") <= limit)
    answered = pl.when(sip).then(in_time).fill_null(was["added"] == pl.col("added"))
    lost, back = (pl.col("kind") == kind for kind in ("unreachable", "reachable"))
    again = back & (was["kind"] == "reachable") & same
    beside = ~endpoint & (was["added"] != pl.col("added"))
    twice = {"lost_again": lost & (was["kind"] == "unreachable") & same & answered}
    twice |= {"back_again": again & ~beside, "anew": again & beside}
    never_null = [one.fill_null(value=False).alias(name) for name, one in twice.items()]
    return rows.select("row", "peer", "time", *never_null, before=was["time"], lost=lost, back=back)
