"""The same log without personal data."""

from starface_nb.privacy.anonymise import Anonymised, anonymise
from starface_nb.privacy.pseudonyms import load_key, weaknesses

__all__ = ["Anonymised", "anonymise", "load_key", "weaknesses"]
