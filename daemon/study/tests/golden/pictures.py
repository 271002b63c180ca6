#!/usr/bin/env python3
"""Writes pictures.txt: the colours of the shared ultrasound images as pydicom has them, for `daemon/live/src/cine/tests.rs`.

Needs pydicom, numpy, pillow, pylibjpeg, pylibjpeg-libjpeg, pylibjpeg-openjpeg, pylibjpeg-rle.
Use: pictures.py CORPUS_DIRECTORY > pictures.txt

One line a file: path, frames, and red, green, blue (mean, 0..255) of the first frame's quarters: top left and right, bottom
left and right.
"""

import pathlib
import sys

import numpy as np
import pydicom
from pydicom.pixels import apply_color_lut, apply_windowing, pixel_array


def rgb(data_set, path):
    """The first frame, [rows, columns, 3], 0..255."""
    frame = pixel_array(path, index=0)
    if data_set.PhotometricInterpretation == "PALETTE COLOR":
        frame = apply_color_lut(frame, data_set).astype(float)
        # Some writers say 16 bits and mean 8.
        return frame if frame.max() < 256 else np.floor(frame / 256)
    if data_set.SamplesPerPixel == 3:
        return frame.astype(float)
    if data_set.get("WindowWidth"):
        frame = apply_windowing(frame, data_set) * 255 / (2**data_set.BitsStored - 1)
    return np.repeat(frame[..., None], 3, 2).astype(float)


def main():
    folder = pathlib.Path(sys.argv[1])
    print("# pydicom", pydicom.__version__)
    for path in sorted(folder.rglob("*")):
        try:
            data_set = pydicom.dcmread(path, stop_before_pixels=True)
        except (pydicom.errors.InvalidDicomError, IsADirectoryError, PermissionError):
            continue
        if data_set.get("Modality") != "US":
            continue
        picture = rgb(data_set, path)
        rows, columns = picture.shape[0] // 2, picture.shape[1] // 2
        quarters = [picture[y, x] for y in (slice(rows), slice(rows, None)) for x in (slice(columns), slice(columns, None))]
        means = [f"{v:.2f}" for q in quarters for v in q.reshape(-1, 3).mean(0)]
        print(path.relative_to(folder), data_set.get("NumberOfFrames") or 1, *means)


if __name__ == "__main__":
    main()
