"""What a support bundle says beside its log: settings, peers, blocks, each value with the place it stands at."""
