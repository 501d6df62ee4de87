"""Where the command begins, also as `python -m starface_nb`: Ctrl-C while it loads is told in one line, too."""

import gc
import sys


def main() -> int:
    """Load the command line and run it."""
    gc.set_threshold(100_000)  # what is loaded stays: to look for cycles in it at every 700 objects costs a tenth
    try:
        from starface_nb.cli import main as run

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("starface-nb: interrupted; nothing half-written was left.\n")
        return 130
    finally:
        gc.freeze()  # nor is it looked through, three times over, when all of it goes


if __name__ == "__main__":
    sys.exit(main())
