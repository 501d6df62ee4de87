"""A seeded simulator of phones, NAT router and PBX probes, with ground truth."""
