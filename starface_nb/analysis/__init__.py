"""What the log means: unreachable intervals, sites, renewal cycles, causes, the NAT timeout, before and after."""
