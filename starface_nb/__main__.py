"""Run the command line with `python -m starface_nb`."""

from starface_nb.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
