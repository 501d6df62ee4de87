"""The settings of an analysis, with the guide's values as defaults."""

from __future__ import annotations

from dataclasses import dataclass, replace

from starface_nb.errors import SettingError

KEEPALIVES_S = (1.0, 7 * 86400.0)
"""The shortest and the longest keepalive that is taken, wherever it is given."""


@dataclass(frozen=True)
class Settings:
    """What the analysis assumes about phones and PBX; all durations in seconds.

    Attributes
    ----------
    keepalive_s : float
        The phones' keepalive interval: 3,600 s in the guide this product implements, 60 s in its newer German
        edition.
    probe_interval_s : float
        OPTIONS to a peer that answers (Asterisk 13.38.3 channels/sip/include/sip.h:92).
    probe_retry_s : float
        OPTIONS to a peer that is down or lagged (sip.h:93).
    probe_timeout_s : float
        No answer for this long is logged as UNREACHABLE (chan_sip.c 13.38.3:30466).
    margin_s : float
        What the router's timeout should exceed the keepalive by: one minute in the guide.
    level : float
        Confidence level of the brackets, between 0 and 1.
    asked : tuple of str
        Names of those that the user gave: a support bundle does not replace them, whatever their value.
    """

    keepalive_s: float = 3600.0
    probe_interval_s: float = 60.0
    probe_retry_s: float = 10.0
    probe_timeout_s: float = 4.0
    margin_s: float = 60.0
    level: float = 0.95
    asked: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not KEEPALIVES_S[0] <= self.keepalive_s <= KEEPALIVES_S[1]:
            cause = f"A keepalive lies between 1 second and 7 days, not at {self.keepalive_s:,.10g} s."
            raise SettingError(cause, next_step="The guide's is 60 minutes, its newer German edition's 60 seconds.")
        for name in ("probe_interval_s", "probe_retry_s", "probe_timeout_s"):
            if not getattr(self, name) > 0:
                raise SettingError(f"{name} must be more than 0 seconds, not {getattr(self, name)}.", place="settings")
        if not 0.5 <= self.level < 1:
            raise SettingError(f"level must lie between 0.5 and 1, not {self.level}.", place="settings")

    def with_asked(self, **values: float | None) -> Settings:
        """Return the settings with those that the user gave; None stands for none."""
        given = {name: value for name, value in values.items() if value is not None}
        return replace(self, **given, asked=tuple(dict.fromkeys((*self.asked, *given))))

    @property
    def recommended_timeout_s(self) -> float:
        """The NAT timeout to set: keepalive plus margin."""
        return self.keepalive_s + self.margin_s
