"""Set the workshop up and open it: `make start`, or `python tools/start.py`.

Only Python's standard library is used; everything else is installed into `.venv`.
"""

import sys
from pathlib import Path

OLDEST = (3, 11)

# Before any other line: what follows does not run on an older Python.
if sys.version_info < OLDEST:
    sys.exit(
        "Sparrow needs Python 3.11 or newer, and this is Python {}.{}: install a newer "
        "one and run it on this file, for example: python3.12 tools/start.py".format(
            *sys.version_info[:2]
        )
    )

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Find the workshop's modules beside this file, and hand over to them."""
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tools")]
    from workshop.start.command import main as start

    return start(sys.argv[1:], ROOT)


if __name__ == "__main__":
    sys.exit(main())
