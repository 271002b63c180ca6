#!/usr/bin/env python3
"""Writes pixels.tsv: what pydicom makes of every grey image of ../shared/data, as numbers that a test can compare.

Needs pydicom, numpy, pylibjpeg, pylibjpeg-libjpeg, pylibjpeg-openjpeg, pylibjpeg-rle.
Use: pixels.py SHARED_DATA_DIRECTORY > pixels.tsv

image   path  frames  rows  columns  crc32 of all Hounsfield units (int16, little endian)  minimum  maximum  sum
volume  path  columns rows slices  spacing x y z  origin x y z  crc32 of the Hounsfield units in volume order
"""
import os
import sys
import warnings
import zlib

import numpy as np
import pydicom

warnings.simplefilter("ignore")
PADDING_HU = -1024
BY_CODESTREAM = ("1.2.840.10008.1.2.4.8", "1.2.840.10008.1.2.4.9")  # JPEG-LS and JPEG 2000: pydicom corrects the sign


def stored_values(ds):
    """Values taken out of their words by HighBit and BitsStored, and the words themselves."""
    words = ds.pixel_array.astype(np.int64)
    if str(ds.file_meta.TransferSyntaxUID).startswith(BY_CODESTREAM):
        return words, words
    bits = ds.BitsStored
    values = (words >> (ds.HighBit + 1 - bits)) & ((1 << bits) - 1)
    if ds.PixelRepresentation == 1:
        values = np.where(values >= 1 << (bits - 1), values - (1 << bits), values)
    return values, words


def scales(ds, frames):
    """Slope and intercept of each frame."""
    def group(item, keyword):
        return getattr(item, keyword)[0] if item is not None and keyword in item else None

    shared = ds.get("SharedFunctionalGroupsSequence")
    per_frame = ds.get("PerFrameFunctionalGroupsSequence")
    for i in range(frames):
        own = per_frame[i] if per_frame and i < len(per_frame) else None
        found = group(own, "PixelValueTransformationSequence")
        if found is None and shared:
            found = group(shared[0], "PixelValueTransformationSequence")
        source = ds if found is None else found
        yield float(source.get("RescaleSlope", 1) or 1), float(source.get("RescaleIntercept", 0) or 0)


def hounsfield(ds):
    values, words = stored_values(ds)
    frames = int(ds.get("NumberOfFrames", 1) or 1)
    shape = (frames, ds.Rows, ds.Columns)
    values, words = values.reshape(shape), words.reshape(shape)
    out = np.empty(shape, np.float64)
    for i, (slope, intercept) in enumerate(scales(ds, frames)):
        out[i] = values[i] * slope + intercept
    out = np.sign(out) * np.floor(np.abs(out) + 0.5)  # halves away from zero
    if "PixelPaddingValue" in ds:
        low = int(ds.PixelPaddingValue)
        high = int(ds.get("PixelPaddingRangeLimit", low))
        low, high = min(low, high), max(low, high)
        out[(values >= low) & (values <= high) | (words >= low) & (words <= high)] = PADDING_HU
    return np.clip(out, -32768, 32767).astype("<i2")


def is_grey(ds):
    return (ds.get("SamplesPerPixel") == 1 and ds.get("PhotometricInterpretation") in ("MONOCHROME1", "MONOCHROME2")
            and ds.get("BitsAllocated") in (8, 16) and "PixelData" in ds)


def crc(hu):
    return f"{zlib.crc32(hu.tobytes()):08x}"


def main(root):
    series = {}
    for folder, _, names in sorted(os.walk(root)):
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), root)
            try:
                ds = pydicom.dcmread(os.path.join(folder, name))
                if not is_grey(ds):
                    continue
                hu = hounsfield(ds)
            except Exception as error:  # what pydicom cannot decode is no witness
                print(path, str(error)[:80], file=sys.stderr)
                continue
            print("image", path, *hu.shape, crc(hu), hu.min(), hu.max(), hu.sum(dtype=np.int64), sep="\t")
            if path.startswith("ct-chest"):
                series.setdefault(os.path.dirname(path), []).append((float(ds.ImagePositionPatient[2]), ds, hu))
    for path, slices in sorted(series.items()):
        slices.sort(key=lambda s: s[0])
        first = slices[0][1]
        step = (slices[-1][0] - slices[0][0]) / (len(slices) - 1)
        spacing = [float(first.PixelSpacing[1]), float(first.PixelSpacing[0]), step]
        volume = np.concatenate([hu for _, _, hu in slices])
        print("volume", path, first.Columns, first.Rows, len(slices), *spacing,
              *[float(v) for v in first.ImagePositionPatient], crc(volume), sep="\t")


main(sys.argv[1])
