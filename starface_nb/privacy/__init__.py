"""The same log without personal data."""
