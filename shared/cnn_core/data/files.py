"""Where data sets live, and how they get there: verified downloads that resume, and archives unpacked with care."""

import os
from pathlib import Path

import platformdirs


def data_root() -> Path:
    """Return the folder of all data sets: `CNN_DATA_DIR`, else the platform's user data folder; it may not exist yet.

    On Linux that is `~/.local/share/cnn-showcase`, on macOS `~/Library/Application Support/cnn-showcase`.
    """
    chosen = os.environ.get("CNN_DATA_DIR", "").strip()
    return Path(chosen).expanduser().absolute() if chosen else platformdirs.user_data_path("cnn-showcase", False)
