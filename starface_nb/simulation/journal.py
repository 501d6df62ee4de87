"""What happened: the lines' rows, and the truth behind each unreachable interval and each cycle."""

from typing import Any

from starface_nb.simulation.world import Contact, Episode, Mapping, PhoneState, SiteState, Timeline

Row = tuple[float, int, str, dict[str, Any]]
"""Second, order, kind (a key of `messages.toml`) and the values in its lines."""


class Journal:
    """Collects rows, unreachable intervals, lagged intervals and cycles; nothing before the log's start is shown."""

    def __init__(self, pbx_down: Timeline, interval_s: float) -> None:
        self.rows: list[Row] = []
        self.episodes: list[Episode] = []
        self.lags: list[tuple[str, float, float]] = []
        self.cycles: list[tuple[SiteState, float, float, float | None]] = []
        self._pbx_down, self._interval = pbx_down, interval_s

    def row(self, t: float, kind: str, **values: Any) -> None:
        """Note something that leaves a line."""
        if t >= 0.0:
            self.rows.append((t, len(self.rows), kind, values))

    def of(self, phone: PhoneState, t: float, kind: str, contact: Contact | None = None, **values: Any) -> None:
        """Note something of a phone, at its stored contact if no other is given, that leaves a line."""
        peer, (ip, port) = phone.spec.peer, contact or phone.contact or ("", 0)
        uri = f"sip:{peer}@{ip}:{port};x-ast-orig-host=192.168.1.20:5060"
        self.row(t, kind, peer=peer, ip=ip, port=port, uri=uri, **values)

    def lose(self, phone: PhoneState, t: float, sent: float) -> None:
        """Note an UNREACHABLE line at `t` for the probe that was `sent`."""
        self.of(phone, t, "unreachable", last=max(0.0, phone.last_ms))
        self.unlag(phone, t)
        episode = phone.episode
        if episode is not None:
            episode.repeats.append(t)
            if t >= 0 and not episode.shown:
                episode.start, episode.shown, episode.repeats = t, True, []
            return
        obstacles = sorted(phone.blame or self._obstacles(phone, sent), key=lambda found: found[0])
        (since, cause), rest = obstacles[0], obstacles[1:]
        died = since if cause == "nat_expiry" else None
        also = tuple(dict.fromkeys(name for at, name in rest if name != cause and at == since)) + _twin(
            phone, cause, sent
        )
        phone.episode = Episode(phone.spec.peer, phone.site.spec.name, t, cause, also, since, died, t >= 0)
        self.episodes.append(phone.episode)
        if cause == "nat_expiry" and phone.where and not phone.where.counted:
            self._cycle(phone.site, phone.where, sent - phone.where.renewed)
            phone.where.counted = True

    def blame(self, phone: PhoneState, t: float) -> None:
        """Note what stops the probe sent now; until it is given up, another phone may have renewed the mapping."""
        phone.blame = self._obstacles(phone, t)

    def recover(self, phone: PhoneState, t: float, by: str) -> None:
        """Note the end of an unreachable interval."""
        if phone.episode is not None:
            phone.episode.end, phone.episode.ended_by = t, by
            phone.episode = None

    def _obstacles(self, phone: PhoneState, t: float) -> list[tuple[float, str]]:
        """Return since when and by what the probe of this moment was stopped.

        Late answers and lost packets count only where nothing else would have stopped it for certain, as in the truth
        of the recorded logs.
        """
        site = phone.site
        found = site.obstacles(t)
        if off := phone.down.at(t):
            found.append((off.start, off.kind))
        if phone.holder(t) is None and phone.where is not None:
            found.append(self._death(site, phone, phone.where))
        if found:
            return found
        slow_or_lossy = [fault for timeline in (site.slow, site.lossy) if (fault := timeline.at(t))]
        return [(fault.start, fault.kind) for fault in slow_or_lossy] or [(t, "packet_loss")]

    def _death(self, site: SiteState, phone: PhoneState, mapping: Mapping) -> tuple[float, str]:
        if mapping.killed is not None:
            return mapping.killed
        if site.router.renewal == "any_packet" and mapping.timeout > self._interval:
            # Probing had kept it alive, so whatever stopped the next probe or its answer killed it.
            last = min(mapping.renewed + self._interval, mapping.dies - 1e-3)
            for timeline in (self._pbx_down, site.line, site.box, phone.down):
                fault = timeline.at(last)
                if fault:
                    return fault.start, fault.kind
        return mapping.dies, "nat_expiry"

    def survive(self, mapping: Mapping | None) -> None:
        """Note how old a mapping was seen alive, before it is renewed."""
        if mapping is None or mapping.answered is None or mapping.counted or mapping.killed is not None:
            return
        if mapping.answered > mapping.renewed:
            self._cycle(mapping.owner.site, mapping, None)
        mapping.answered = None

    def outlive(self, site: SiteState, mapping: Mapping, t: float) -> None:
        """Note, where it is news, how long a mapping that any packet renews lived between two packets."""
        gap = min(t - mapping.renewed, self._interval)
        if gap > site.longest_gap and mapping.renewed >= 0.0:
            site.longest_gap = gap
            self.cycles.append((site, mapping.timeout, gap, None))

    def _cycle(self, site: SiteState, mapping: Mapping, upper: float | None) -> None:
        seen = mapping.renewed if mapping.answered is None else mapping.answered
        if mapping.renewed >= 0.0:
            self.cycles.append((site, mapping.timeout, seen - mapping.renewed, upper))

    def unlag(self, phone: PhoneState, t: float) -> None:
        """Note the end of a lagged interval, if there is one."""
        if phone.lagged_since is not None:
            if t >= 0:
                self.lags.append((phone.spec.peer, phone.lagged_since, t))
            phone.lagged_since = None


def _twin(phone: PhoneState, cause: str, t: float) -> tuple[str, ...]:
    """Return the cause that leaves the same lines where probing keeps mappings alive.

    There a line that is down for longer than the timeout kills every mapping, as a restart of the router does.
    """
    site, mapping = phone.site, phone.where
    if mapping is None or site.router.renewal != "any_packet":
        return ()
    if cause == "router_restart":
        return ("wan_outage",)
    outage = site.line.at(t)
    if cause != "wan_outage" or outage is None:
        return ()
    return ("router_restart",) if outage.end > mapping.dies and not outage.values.get("new_ip") else ()
