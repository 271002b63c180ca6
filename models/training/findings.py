"""The ten output channels: names, how their components are counted, and the limits that the package states."""

from dataclasses import dataclass

import numpy as np

LUNG = 1 << 15
# Grid of the network.
SPACING_MM = 1.5
# With what a candidate is compared: a planted lesion, everything on one side of the chest, the whole scan.
LESION, SIDE, SCAN = "lesion", "side", "scan"


@dataclass(frozen=True)
class Channel:
    """`sizes` are the least sizes to choose from, in the unit of `min_size` in model.toml (models/src/manifest.rs)."""

    name: str
    counts: str
    sizes: tuple
    # Where the truth lists the lesions, and the largest distance of a candidate, mm (larger for large lesions).
    listed: str = ""
    reach_mm: float = 0.0


# Bit i of a label voxel is channel i; the order of `models/src/task/ct_chest/list.rs`, Channel::ALL.
CHANNELS = (
    Channel("nodule", LESION, (3.0, 4.0), "nodules", 4.0),
    Channel("ground_glass", SIDE, (0.5, 1.0, 2.0)),
    Channel("consolidation", SIDE, (0.5, 1.0, 2.0)),
    Channel("rib_fracture", LESION, (3.0, 5.0), "rib_fractures", 15.0),
    Channel("emphysema", SCAN, (0.1,)),
    Channel("bronchiectasis", SIDE, (0.1, 0.3, 0.6)),
    Channel("pleural_effusion", SIDE, (2.0, 5.0, 10.0)),
    Channel("pneumothorax", SIDE, (2.0, 5.0, 10.0)),
    Channel("coronary_calcification", SCAN, (0.002, 0.005, 0.01)),
    Channel("lymph_node", LESION, (10.0,), "lymph_nodes", 5.0),
)
NAMES = tuple(c.name for c in CHANNELS)

# Limits of each finding as models/src/manifest/volume.rs defines them: a number is the largest slice spacing, mm; `least_size` are pairs of
# spacing and the least size that is evaluated there (diameter of a nodule, short axis of a node, length of a fracture, mm; otherwise ml).
# Chosen from the tables of by_slices.py. Emphysema is a share of the lungs, which thick slices change. Calcium: its protocols have
# slices of 2.5 to 3 mm, and its score is defined for 3 mm; thicker ones give an estimate (models/src/task/ct_chest/coronary/thick.rs).
LIMITS = {
    "nodule": {"max_slice_spacing_mm": 8.0, "least_size": [[2.5, 4.0], [3.0, 6.0], [5.0, 10.0], [8.0, 15.0]]},
    "pneumonia": {"max_slice_spacing_mm": 8.0, "least_size": [[2.5, 1.0], [8.0, 10.0]]},
    "rib_fracture": 2.5,
    "emphysema": 2.5,
    "bronchiectasis": 2.5,
    "pleural_effusion": {"max_slice_spacing_mm": 8.0, "least_size": [[2.5, 5.0], [8.0, 30.0]]},
    "pneumothorax": {"max_slice_spacing_mm": 8.0, "least_size": [[2.5, 5.0], [8.0, 60.0]]},
    "coronary_calcification": {"max_slice_spacing_mm": 5.0, "least_size": [[3.0, 0.005], [5.0, 0.08]]},
    "lymph_node": {"max_slice_spacing_mm": 5.0, "least_size": [[2.5, 10.0], [5.0, 12.0]]},
}
# The findings of which a channel is a part.
PARTS = {"ground_glass": "pneumonia", "consolidation": "pneumonia"}


def least_size(name, spacing_mm):
    """What of a channel is smaller than this is not evaluated, in the finding's unit; 0 without a limit."""
    limits = LIMITS[PARTS.get(name, name)]
    pairs = limits.get("least_size") if isinstance(limits, dict) else None
    if not pairs:
        return 0.0
    return float(np.interp(spacing_mm, *zip(*pairs)))
