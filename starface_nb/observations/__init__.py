"""What the log shows, and what it could show: peers, addresses, unreachable intervals, renewals, observed time."""
