"""The output channels, in the order of CHANNELS in hil-tests/phantom/src/ultrasound/descriptors.rs: channel i is bit i of a label.

`lesion` is supervised everywhere, the others inside lesions only; a lesion's value is the mean over its mask.
"""

CHANNELS = (
    "lesion",
    "malignant",
    "irregular",
    "not_parallel",
    "not_circumscribed",
    "anechoic",
    "heterogeneous",
    "enhancement",
    "shadowing",
)
LESION, MALIGNANT = 0, 1
