"""What a support bundle says beside its log: settings, time zone, peers, blocks; every value with its source."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo, available_timezones

import polars as pl

from starface_nb.bundle.members import Configuration, Row, Taken
from starface_nb.bundle.router import KINDS
from starface_nb.frames import declared

STATUSES = ("ok", "lagged", "unreachable", "unknown", "unmonitored")
_DEEPEST = 10  # files including files
GENERAL = "general"

_FRAMES = declared(__file__, status=pl.Enum(STATUSES), kind=pl.Enum(KINDS), stamp=pl.Datetime("us"))
FACTS, PEERS, ROUTER = (_FRAMES[name] for name in ("facts", "peers", "router"))


@dataclass(frozen=True)
class Fact:
    """One value and where it stands."""

    value: str
    member: str
    line: int | None

    @property
    def source(self) -> str:
        """Member and line, as it is told: a member within its archive, a file by its name."""
        name = self.member.rpartition("!")[2] if "!" in self.member else self.member.rpartition("/")[2]
        return name if self.line is None else f"{name}:{self.line}"


@dataclass(frozen=True)
class Bundle:
    """What was taken of everything that lies beside a log.

    Attributes
    ----------
    facts, peers, router : polars.DataFrame
        See `FACTS`, `PEERS` and `ROUTER`.
    members : tuple of str
        Files that something could be taken from, in the order they were read.
    """

    facts: pl.DataFrame = field(default_factory=FACTS.empty)
    peers: pl.DataFrame = field(default_factory=PEERS.empty)
    members: tuple[str, ...] = ()
    router: pl.DataFrame = field(default_factory=ROUTER.empty)

    def __bool__(self) -> bool:
        return bool(self.members)

    def values(self, fact: str, name: str | None = None) -> list[Fact]:
        """Return what is known of a fact for everybody, in the order of the members."""
        rows = self.facts.filter((pl.col("fact") == fact) & pl.col("peer").is_null())
        if name is not None:
            rows = rows.filter(pl.col("name") == name)
        return [Fact(*row) for row in rows.select("value", "member", "line").iter_rows()]

    def setting(self, name: str) -> Fact | None:
        """Return a setting that holds for everybody: that of `[general]`, or the one that all peers share."""
        general = self.values("setting", name)
        if general:
            return general[-1]  # the last line wins in Asterisk
        own = self.facts.filter((pl.col("fact") == "setting") & (pl.col("name") == name))
        if own["value"].n_unique() != 1:
            return None
        return Fact(*own.select("value", "member", "line").row(0))


def zone_of(told: Sequence[Fact], given: ZoneInfo, *, is_default: bool) -> tuple[ZoneInfo, list[str]]:
    """Return the zone to read a log in, and what to say of it: the PBX's own zone goes before the default.

    Parameters
    ----------
    told : sequence of Fact
        Zones that a support bundle names.
    given : ZoneInfo
    is_default : bool
        Whether nobody chose `given`.
    """
    names = {fact.value: fact for fact in told if fact.value in available_timezones()}
    if len(names) != 1 or given.key in names:
        return given, []
    ((name, fact),) = names.items()
    if is_default:
        return ZoneInfo(name), [f"The time zone is {name}, as {fact.source} says."]
    return given, [f"{fact.source} says that the PBX's time zone is {name}; the log was read in {given.key}, as asked."]


def with_full_names(peers: pl.DataFrame, known: Iterable[str]) -> pl.DataFrame:
    """Return listed peers under the names by which a log knows them: whole where the list cut them.

    Parameters
    ----------
    peers : polars.DataFrame
        See `PEERS`.
    known : iterable of str
        Peers of the log.
    """
    names = set(known)

    def full(peer: str, *, cut: bool) -> str:
        if peer in names:
            return peer
        longer = [name for name in names if name.startswith(peer if cut else f"{peer}/")]  # a name that holds a slash
        return longer[0] if len(longer) == 1 else peer

    whole = [full(peer, cut=cut) for peer, cut in peers.select("peer", "cut").iter_rows()]
    return peers.with_columns(pl.Series("peer", whole, dtype=pl.String))


def put_together(parts: Iterable[Taken]) -> Bundle:
    """Put together what was taken of each member.

    A member that is there twice (an archive inside an archive) counts once.
    """
    once = list({(part.name, part.id): part for part in parts}.values())
    facts = [row for part in once for row in part.facts] + _settings(once)
    peers = [row for part in once for row in part.peers]
    members = tuple(part.name for part in once if part)
    listed = PEERS.frame(peers).unique(["peer", "tech", "address", "port"], maintain_order=True)
    events = ROUTER.frame([row for part in once for row in part.router])
    same = [name for name in ROUTER.dtypes if name != "member"]  # one file, named itself and found beside the log
    return Bundle(FACTS.frame(facts), listed, members, events.unique(same, maintain_order=True))


def _settings(parts: list[Taken]) -> list[Row]:
    """Return the settings of all configuration files, with includes and templates resolved."""
    files = {part.name: part.configuration for part in parts if part.configuration}
    outside = "" if any(_base(name) == "sip.conf" for name in files) else GENERAL
    own = dict[str, dict[object, Row]]()
    for name, configuration in files.items():
        around = _section_around(_base(name), files) or outside
        for section, row in configuration.entries:
            own.setdefault(section or around, {})[row["name"]] = row
    marks = {name: marks for file in files.values() for name, marks in file.sections.items()}
    rows: list[Row] = []
    for section in dict.fromkeys([*own, *marks]):
        parents = marks.get(section, ())
        if section and "!" not in parents:
            inherited = own.get(section, {})
            for parent in parents:
                inherited = own.get(parent, {}) | inherited
            peer = None if section == GENERAL else section
            rows += [row | {"peer": peer} for row in inherited.values()]
    return rows


def _section_around(base: str, files: dict[str, Configuration], deepest: int = _DEEPEST) -> str | None:
    """Return the section in which another file includes this one; a file that none includes begins in none."""
    places = ((other, section) for other, one in files.items() for section, file in one.includes if file == base)
    for other, section in places if deepest else ():
        return section or _section_around(_base(other), files, deepest - 1)
    return None


def _base(name: str) -> str:
    return name.replace("!", "/").rpartition("/")[2]
