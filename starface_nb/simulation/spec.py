"""What is simulated: phones, routers, faults and the style of the log; all times are seconds from the log's start."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Phone:
    """One phone: its name as the PBX knows it and its registration habits, in seconds."""

    peer: str
    user_agent: str = "snomD345/8.9.3.80"
    reregister_s: float = 3600.0
    expires_s: float = 3900.0
    jitter: float = 0.01
    retry_s: float = 90.0
    rtt_ms: float = 45.0
    first_s: float | None = None


@dataclass(frozen=True)
class Router:
    """A NAT router.

    Attributes
    ----------
    timeout_s : float
        A mapping dies this long after its last renewal.
    unreplied_s : float or None
        Timeout of a flow younger than two seconds, where the router keeps a second, shorter one.
    renewal : {"register_only", "any_packet"}
        Which packets from inside renew a mapping.
    ports : {"new", "preserve", "kernel"}
        External port of a new mapping: always another; the phone's own; or the phones' common port for the first
        phone that finds it free, so that a port is inherited.
    """

    timeout_s: float = 900.0
    unreplied_s: float | None = None
    renewal: str = "register_only"
    ports: str = "new"


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong between `start` and `end`.

    `kind` is one of `wan_outage`, `router_restart`, `router_change`, `power_cut`, `pbx_restart`, `phone_restart`,
    `phone_offline`, `latency`, `packet_loss`, `blacklisted`, `unregister`, `reload`.

    `site` names the site and `phone` the peer it strikes; a `pbx_restart` and a `reload` strike all. `values` holds
    what only some kinds need: `new_ip` (wan_outage), `low_ms`/`high_ms` (latency), `rate` (packet_loss, 1 = all),
    `router` (router_change: the new `Router`; `keep` true where only the setting was raised), `crash` (pbx_restart).
    """

    kind: str
    start: float
    end: float
    site: str | None = None
    phone: str | None = None
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Site:
    """Phones behind one router and one public address."""

    name: str
    public_ip: str
    phones: tuple[Phone, ...]
    router: Router = field(default_factory=Router)
    loss_rate: float = 0.0


@dataclass(frozen=True)
class Style:
    """How the log is written.

    `date_format` is `iso`, `iso_ms`, `short` (no year) or any strftime format; `noise` is the mean number of
    unrelated lines per hour, strangers' refused registrations among them; `rotations` are times at which a new file
    is begun; `cut_last` leaves the last line half-written.
    """

    date_format: str = "iso"
    noise: float = 0.0
    rotations: tuple[float, ...] = ()
    cut_last: bool = False


@dataclass(frozen=True)
class Scenario:
    """One customer's PBX and everything that happens to it.

    Attributes
    ----------
    start : datetime
        Aware; the log's first moment.
    warm_up_s : float
        The world runs this long before the log begins; 0 means that the PBX itself starts with the log.
    tech : {"SIP", "PJSIP"}
        Channel driver.
    trunks : tuple of str
        Peers with a fixed address, which never register.
    """

    sites: tuple[Site, ...]
    hours: float
    family: str = ""
    faults: tuple[Fault, ...] = ()
    start: datetime = datetime(2026, 3, 3, 5, 40, tzinfo=UTC)
    time_zone: str = "Europe/Berlin"
    warm_up_s: float = 0.0
    tech: str = "SIP"
    trunks: tuple[str, ...] = ()
    style: Style = field(default_factory=Style)

    @property
    def seconds(self) -> float:
        """Length of the log."""
        return self.hours * 3600.0

    def at(self, second: float) -> datetime:
        """Return the UTC time of a second of the log."""
        return self.start.astimezone(UTC) + timedelta(seconds=second)

    def local(self, second: float | None) -> str | None:
        """Return the local time of a second of the log, as a truth tells it."""
        if second is None:
            return None
        return self.at(second).replace(microsecond=0).astimezone(ZoneInfo(self.time_zone)).isoformat(sep=" ")
