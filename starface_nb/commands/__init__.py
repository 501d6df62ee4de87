"""One module per command, each with `run(options) -> exit status`; their arguments stand in `cli.toml`."""
