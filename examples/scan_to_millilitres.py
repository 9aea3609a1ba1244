"""From a CT scan to millilitres of each organ, with a plot: `python examples/scan_to_millilitres.py [SCAN.nii.gz]`."""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

import medical_segmentation

SAMPLE = Path(__file__).parents[1] / "apps" / "assets" / "samples" / "chest-ct.nii.gz"


def main(scan: str = str(SAMPLE), output: str = "volumes.png", weights: str = "lung-ct") -> dict[str, float]:
    result = medical_segmentation.load(weights).predict(scan)
    for name, volume in result.volumes_ml.items():
        print(f"{name}: {volume:.1f} mL")
    pyplot.bar(list(result.volumes_ml), list(result.volumes_ml.values()))
    pyplot.ylabel("volume in mL")
    pyplot.savefig(output)
    return result.volumes_ml


if __name__ == "__main__":
    main(*sys.argv[1:])
