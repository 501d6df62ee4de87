"""Where the command begins, also as `python -m starface_nb`: Ctrl-C while it loads is told in one line, too."""

import sys


def main() -> int:
    """Load the command line and run it."""
    try:
        from starface_nb.cli import main as run

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("starface-nb: interrupted; nothing half-written was left.\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
