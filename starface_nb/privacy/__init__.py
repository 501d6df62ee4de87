"""The same log without personal data."""

from starface_nb.privacy.anonymise import Anonymised, anonymise

__all__ = ["Anonymised", "anonymise"]
