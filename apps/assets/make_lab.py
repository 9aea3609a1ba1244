"""Make what the lab stores, in assets/lab: `python apps/assets/make_lab.py [WHAT]`.

WHAT is "thumbnails" (the default, drawn from some of the others) or one of these. "filters" searches the first 2,000
test pictures of MNIST and of Fashion-MNIST (CNN_DATA_DIR) for what channels want to see. "sharing" and "overfitting"
train on embedded digits, one minute and eight. "transfer" trains 168 times from the weights `mnist`, on Fashion-MNIST
too (CNN_DATA_DIR), half an hour. "drive" records drives and trains two small networks to steer, three minutes.
"""

import sys
from importlib import import_module
from pathlib import Path

APPS = Path(__file__).resolve().parents[1]
STORED = ("thumbnails", "filters", "sharing", "overfitting", "transfer", "drive")


def main() -> int:
    """Make what is wanted, by default the thumbnails; return an exit code."""
    sys.path.insert(0, str(APPS))
    wanted = sys.argv[1] if len(sys.argv) > 1 else STORED[0]
    if wanted not in STORED:
        sys.stderr.write(f"expected one of {', '.join(STORED)}, got {wanted}\n")
        return 2
    import_module(f"lab.{wanted}").make(APPS / "assets" / "lab")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
