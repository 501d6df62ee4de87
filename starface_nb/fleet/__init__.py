"""Many customers at once."""
