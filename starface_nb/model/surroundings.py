"""What happened around each loss: who answered, refused registrations, a new public address, shared ports."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from starface_nb.frames import UTC_TIME
from starface_nb.model.cycles import Exposure, exposures, find_cycles, measure, since_calls
from starface_nb.model.likelihood import BLOCKING, ends, marks
from starface_nb.model.priors import PRIORS as P
from starface_nb.model.rhythm import at_random, rhythm_odds
from starface_nb.model.site import Around, Context, Surface
from starface_nb.observations.addresses import UNKNOWN, Addresses, place
from starface_nb.observations.intervals import UP, of_kind, phone_index
from starface_nb.observations.story import SAME_MOMENT_S, Bools, Floats, Ints, Story, seconds

REFUSED_S, AT_ONCE = 1800.0, 2
"""Of so many seconds refused registrations count; the last one blocks an address at once, within two probes."""

COMMON_SPOT = 0.3
"""Share of a site's losses that must have had one external port for it to be the shared one."""


def survey(story: Story, states: pl.DataFrame, rows: pl.DataFrame, raw: pl.DataFrame, addresses: Addresses) -> Context:
    """Build what all sites share."""
    losses, shortest = story.losses, at_random(story)
    exposure = exposures(story)
    placed = place(raw.select("peer", "start", "end"), addresses, "start")[losses.row]
    later = place(raw.select("peer", pl.coalesce("end", "start").alias("start")), addresses, "start")[losses.row]
    inherited, shared = _shared_ports(story, addresses, placed, exposure)
    previous = np.full(len(losses), np.nan)
    if len(losses) > 1:
        same = np.diff(losses.phone) == 0
        soft = np.isfinite(losses.end[:-1]) & ~losses.renewed[:-1] & same
        previous[1:][soft] = losses.end[:-1][soft] - losses.rtt[:-1][soft]
    at_risk, surfaces = _who_answers(story, states, rows)
    refused, always = _refused(story, states, addresses)
    around = Around(
        inherited=inherited,
        placed=placed["address"].is_not_null().to_numpy(),
        new_address=(placed["site"] != later["site"]).to_numpy(),
        refused=refused,
        at_risk=at_risk,
        port=placed["port"].fill_null(0).cast(pl.Int64).to_numpy(),
        alone=_alone(placed, addresses),
    )
    return Context(
        story=story,
        exposure=exposure,
        soft=measure(story, previous),
        shared=shared,
        called=since_calls(story),
        rhythms=rhythm_odds(story, exposure.anchor, np.isfinite(shortest)),
        random=np.isfinite(shortest),
        cycles=find_cycles(story, shortest),
        around=around,
        ends=ends(story),
        marks=marks(story, refused, always),
        surfaces=surfaces,
        horizon=max(min(2 * story.settings.keepalive_s, story.end), 7200.0),  # the log shows no longer timeout
    )


def _refused(story: Story, states: pl.DataFrame, addresses: Addresses) -> tuple[Ints, Floats]:
    """Count the refused registrations from each loss's site in the half hour before it.

    Returns as well in what share of the log's time enough of them stand before any moment: a device with a wrong
    password may try for days without a block.
    """
    rows = of_kind(states, "registration_failed").filter(pl.col("address").is_not_null())
    # Only refused authentication leads to a block; a full or unknown AOR does not.
    rows = rows.filter(~pl.col("detail").fill_null("").str.contains("max contacts|no configured AOR|not found for"))
    # Who is refused at an address where no phone was seen is one of the customer's only if the name looks like it.
    peers, ending = pl.Series(story.peers, dtype=pl.String), r"(\.[^.]+$)"
    endings = peers.str.extract(ending).drop_nulls()
    own = rows["peer"].is_in(peers.implode()) | rows["peer"].str.extract(ending).is_in(endings.implode())
    address = rows["address"].replace_strict(addresses.site_of, default=None, return_dtype=pl.String)
    use = (address.is_not_null() | own.fill_null(value=False)).to_numpy()
    where = address.fill_null(UNKNOWN).to_numpy()[use]
    times, starts = seconds(rows["time"], story.origin_us)[use], story.losses.start
    counts, home = np.zeros(len(starts), np.int64), story.home[story.losses.phone]
    always, soon = np.zeros(len(starts)), AT_ONCE * story.settings.probe_interval_s
    for number in (i for i, site in enumerate(story.sites) if site in where):
        mine, here = np.sort(times[where == story.sites[number]]), home == number
        # The last of them leads to the block, which the next probe of each phone finds.
        again = _blocks_again(mine, np.sort(starts[here]), soon)
        until = np.searchsorted(mine, starts[here], "right")
        counts[here] = until - np.searchsorted(mine, starts[here] - REFUSED_S)
        counts[here] *= until > np.searchsorted(mine, starts[here] - max(again, soon))
        enough = np.searchsorted(mine, mine, "right") - np.searchsorted(mine, mine - REFUSED_S) >= BLOCKING
        if not again:
            always[here] = np.minimum(np.diff(mine, append=np.inf), soon)[enough].sum() / max(story.end, soon)
    return counts, always


def _blocks_again(refused: Floats, lost: Floats, soon: float) -> float:
    """Return until how long after the last of several refusals a block takes phones each time, 0 where it does not.

    The address falls silent then; a device that tries in turns and waits is silent as regularly, and phones are lost
    as often at any other time.
    """
    gaps = np.diff(refused, append=np.inf)
    silent = np.flatnonzero(gaps > np.maximum(2 * np.median(gaps), soon))
    silent = silent[np.diff(silent, prepend=-1) >= BLOCKING]
    if len(silent) < BLOCKING:
        return 0.0
    delays = np.append(lost, np.inf)[np.searchsorted(lost, refused[silent])] - refused[silent]
    share = 1 - P.partly
    usual = max(float(np.quantile(delays, share, method="inverted_cdf")), soon)
    if usual > REFUSED_S:
        return 0.0
    chance = np.minimum(np.diff(lost, prepend=0.0), usual).sum() / max(lost[-1], usual)
    odds = share * np.log(share / chance) + (1 - share) * np.log((1 - share) / max(1 - chance, P.stray))
    return usual + soon if chance < 0.5 and len(silent) * odds > -np.log(P.refused[1]) else 0.0


def _who_answers(story: Story, states: pl.DataFrame, rows: pl.DataFrame) -> tuple[Ints, dict[str, Surface]]:
    """Return how many phones of the site answered just before each loss, and every site's lines that show answers."""
    home, names = story.home, story.sites
    trunk = np.array(story.trunks, bool)
    phone, up = rows["phone"].to_numpy(), (rows["state"] == UP).to_numpy()
    times = seconds(rows["time"], story.origin_us)
    before = np.append(False, up)[:-1]
    first = np.append(-1, phone)[:-1] != phone
    # A phone whose first line is its loss may have answered since the log began.
    before[first] = ~up[first] & (story.first_up[phone[first]] == 0)
    answered = np.bincount(home[phone[first & before & ~trunk[phone]]], minlength=len(names))
    step = up.astype(np.int64) - before
    moved = (step != 0) & ~trunk[phone]
    steps = _by_home(home[phone[moved]], times[moved])
    sign = step[moved][steps.order]
    registered = of_kind(states, "registered")
    extra = registered.select(phone_index(story.peers).fill_null(-1)).to_series().to_numpy()
    heard = _by_home(
        np.concatenate([home[phone[up & ~trunk[phone]]], home[extra]]),
        np.concatenate([times[up & ~trunk[phone]], seconds(registered["time"], story.origin_us)]),
    )
    at_risk = np.zeros(len(story.losses), np.int64)
    loss_home = home[story.losses.phone]
    order = np.argsort(loss_home, kind="stable")
    bounds = np.searchsorted(loss_home[order], np.arange(len(names) + 1))
    for i in range(len(names)):
        use, part = order[bounds[i] : bounds[i + 1]], steps.part(i)
        level = answered[i] + np.append(0, np.cumsum(sign[part]))
        at_risk[use] = level[np.searchsorted(steps.times[part], story.losses.start[use], side="left")]
    return at_risk, {name: Surface(heard.times[heard.part(i)]) for i, name in enumerate(names)}


@dataclass
class _ByHome:
    """Times sorted by site, then time; `order` is the sorting."""

    homes: Ints
    times: Floats
    order: Ints

    def part(self, home: int) -> slice:
        return slice(*np.searchsorted(self.homes, [home, home + 1]))


def _by_home(homes: Ints, times: Floats) -> _ByHome:
    order = np.lexsort((times, homes))
    return _ByHome(homes[order], times[order], order)


def _shared_ports(
    story: Story, addresses: Addresses, placed: pl.DataFrame, exposure: Exposure
) -> tuple[Bools, Exposure]:
    """Find losses whose phone lived on a mapping that another phone had renewed (a port inherited on the router).

    Returns which losses ended so, and their exposure since that renewal.
    """
    losses, renewals = story.losses, story.renewals
    n = len(losses)
    nothing = measure(story, np.full(n, np.nan))
    if not story.shares_ports.any() or not n or not len(renewals.time):
        return np.zeros(n, bool), nothing
    when = pl.Series(((renewals.time + 1.0) * 1e6 + story.origin_us).astype(np.int64)).cast(UTC_TIME)
    at = place(pl.DataFrame({"peer": pl.Series(story.peers)[renewals.phone], "start": when}), addresses, "start")
    spots = pl.concat([at.select("site", "port"), placed.select("site", "port")]).select(
        pl.when(pl.col("port").is_not_null()).then(pl.struct("site", "port").rank("dense")).otherwise(0).cast(pl.Int64)
    ).to_series().to_numpy()  # fmt: skip
    usual = _usual_spot(story, spots[len(at) :])
    phone = np.concatenate([renewals.phone, losses.phone])
    spots = np.where(spots == 0, usual[phone], spots)
    mine, theirs = spots[len(at) :], spots[: len(at)]
    order = np.lexsort((renewals.time, theirs))
    key = theirs[order] * 1e9 + renewals.time[order]

    def last_before(time: Floats) -> tuple[Ints, Bools]:
        k = np.searchsorted(key, mine * 1e9 + time, side="right") - 1
        index = order[np.maximum(k, 0)]
        other = (k >= 0) & (theirs[index] == mine) & (mine > 0) & (renewals.phone[index] != losses.phone)
        return index, other

    index, other = last_before(losses.failed)
    own = np.nan_to_num(exposure.anchor, nan=-np.inf)
    anchor = np.where(other & (renewals.time[index] > own + SAME_MOMENT_S), renewals.time[index], np.nan)
    closed = np.where(np.isfinite(losses.end), losses.end, 0.0)
    ended_by, others = last_before(closed)
    inherited = others & ~losses.registered & (closed - renewals.time[ended_by] <= 18.0) & (closed > 0)
    found = measure(story, anchor)
    found.upper = found.upper + renewals.early[index]
    return inherited, found


def _alone(placed: pl.DataFrame, addresses: Addresses) -> Bools:
    """Say at which losses a line shows the phone's port, and none shows another phone there."""
    spot = ["address", "port"]
    phones = addresses.seen.filter(pl.col("port").is_not_null()).group_by(spot).agg(pl.col("peer").n_unique())
    found = placed.select(spot).join(phones, on=spot, how="left", maintain_order="left")
    return (found["peer"].fill_null(0) == 1).to_numpy()


def _usual_spot(story: Story, spots: Ints) -> Ints:
    """Return each phone's port where no line shows one: the one most losses of its site had, or one of their own.

    A port without a line is one that did not change; 0 at sites where ports are not shared.
    """
    home = story.home
    usual = np.zeros(len(home), np.int64)
    for number, site in enumerate(np.unique(home[story.shares_ports])):
        here = home == site
        known = spots[here[story.losses.phone] & (spots > 0)]
        count = np.bincount(known) if len(known) else np.zeros(1, np.int64)
        often = count.max() >= COMMON_SPOT * here[story.losses.phone].sum()
        usual[here] = count.argmax() if often else len(story.peers) + spots.max(initial=0) + number
    return usual
