#!/usr/bin/env python3
"""What the box says of a real chest CT must not depend on how it was scanned: writes a series again in ways that change nothing of
what is in it, has each version analysed, and prints the findings side by side.

    versions.py SERIES --out FOLDER [--only NAME ...] [--scansidectl PATH] [--packages DIR]

SERIES is a folder with one CT series whose slices lie across the body. FOLDER gets a folder of DICOM files and a JSON for each version; it
must lie outside of the repository when the series is of a patient. Needs numpy, scipy and pydicom (`hil-tests/scripts/setup.sh bench`).
"""

import argparse
import copy
import json
import pathlib
import subprocess
import sys

import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from scipy import ndimage

AIR = -1024
# In the data, by accident or by wear; not for the image itself any more.
STALE = ("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue", "PixelPaddingRangeLimit", "SpacingBetweenSlices")


class Series:
    """HU as [slice, row, column] from the feet up, where the slices lie, mm, and the headers."""

    def __init__(self, folder):
        slices = []
        for path in sorted(pathlib.Path(folder).rglob("*")):
            try:
                image = pydicom.dcmread(path) if path.is_file() else None
            except pydicom.errors.InvalidDicomError:
                continue
            if image is not None and "PixelData" in image and "ImagePositionPatient" in image:
                slices.append(image)
        if len(slices) < 10:
            sys.exit(f"{folder}: {len(slices)} slices, 10 are needed")
        slices.sort(key=lambda image: float(image.ImagePositionPatient[2]))
        hu = [image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept) for image in slices]
        self.headers = slices
        self.hu = np.maximum(np.stack(hu).astype(np.float32), AIR)
        self.z = np.array([float(image.ImagePositionPatient[2]) for image in slices])
        self.pixel_mm = [float(step) for step in slices[0].PixelSpacing]
        self.step_mm = float(np.median(np.diff(self.z)))
        self.thick_mm = float(slices[0].SliceThickness)


def slabs(series, thick_mm, step_mm, phase_mm=0.0):
    """Slices of another thickness and distance: means along the body."""
    middles = np.arange(series.z[0] + thick_mm / 2 + phase_mm, series.z[-1] - thick_mm / 2 + 1e-3, step_mm)
    made = []
    for middle in middles:
        away = np.abs(series.z - middle) - (thick_mm - series.step_mm) / 2
        weight = np.clip(1 - away / series.step_mm, 0, 1)
        made.append(np.tensordot(weight / weight.sum(), series.hu, 1))
    return {"hu": np.stack(made), "z": middles, "thick_mm": thick_mm}


def versions(series):
    """Name and what differs: `hu`, `z`, `thick_mm`, `pixel_mm`, `headers`."""
    hu, z = series.hu, series.z
    count, rows, columns = hu.shape
    random = np.random.default_rng(5)

    def blurred(sigma_mm):
        return ndimage.gaussian_filter(hu, (0, sigma_mm / series.pixel_mm[0], sigma_mm / series.pixel_mm[1]))

    def noisy(sigma_hu):
        noise = ndimage.gaussian_filter(random.normal(size=hu.shape).astype(np.float32), (0, 0.8, 0.8))
        return hu + noise / noise.std() * sigma_hu

    def part(of):
        return {"hu": hu[of], "z": z[of], "headers": series.headers[of]}

    yield "same", {}
    yield "moved", {"hu": ndimage.shift(hu, (0, 13.4, -21.7), order=1, cval=AIR)}
    yield "turned", {"hu": ndimage.rotate(hu, 7, axes=(1, 2), reshape=False, order=1, cval=AIR)}
    yield "noise-25", {"hu": noisy(25)}
    yield "noise-50", {"hu": noisy(50)}
    yield "smooth", {"hu": blurred(0.8)}
    yield "sharp", {"hu": hu + 1.2 * (hu - blurred(0.7))}
    yield "12-hu-more", {"hu": hu + 12}
    yield "3-percent-more", {"hu": (hu - AIR) * 1.03 + AIR}
    yield "larger-pixels", {"hu": ndimage.zoom(hu, (1, 0.8, 0.8), order=1), "pixel_mm": [step / 0.8 for step in series.pixel_mm]}
    row, column = np.mgrid[:rows, :columns]
    far = np.hypot(row - (rows - 1) / 2, column - (columns - 1) / 2) > 0.44 * columns
    yield "circle", {"hu": np.where(far, AIR, hu)}
    yield "upper", part(slice(int(count * 0.42), None))
    yield "lower", part(slice(None, int(count * 0.6)))
    for thick_mm, step_mm in ((2, 2), (2.5, 2.5), (3, 3), (5, 5), (5, 2.5), (7, 5), (8, 8)):
        if thick_mm > 1.5 * series.step_mm:
            yield f"{thick_mm:g}-mm-every-{step_mm:g}", slabs(series, thick_mm, step_mm)


def write(series, folder, changed):
    folder.mkdir(parents=True, exist_ok=True)
    hu, z = changed.get("hu", series.hu), changed.get("z", series.z)
    headers = changed.get("headers", series.headers)
    study, uid = generate_uid(), generate_uid()
    for number, (middle, pixels) in enumerate(zip(z, hu), 1):
        image = copy.deepcopy(headers[min(number, len(headers)) - 1])
        image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID = study, uid, generate_uid()
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        x, y, _ = image.ImagePositionPatient
        image.ImagePositionPatient = [x, y, f"{middle:.6g}"]
        if "SliceLocation" in image:
            image.SliceLocation = f"{middle:.6g}"
        image.SliceThickness = f"{changed.get('thick_mm', series.thick_mm):.4g}"
        image.PixelSpacing = [f"{step:.6f}" for step in changed.get("pixel_mm", series.pixel_mm)]
        image.InstanceNumber = number
        image.Rows, image.Columns = pixels.shape
        image.RescaleSlope, image.RescaleIntercept = "1", str(AIR)
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
        for keyword in STALE:
            if keyword in image:
                delattr(image, keyword)
        image.PixelData = np.round(np.clip(pixels, AIR, 3071) - AIR).astype("<i2").tobytes()
        image["PixelData"].VR = "OW"
        image.save_as(folder / f"{number:04}.dcm", enforce_file_format=True, little_endian=True, implicit_vr=False)


def told(findings):
    """One word for each finding that is there, `NAME?` for one that was not evaluated."""

    def done(name):
        return (findings.get(name) or {}).get("done")

    words = []
    nodules = done("nodules")
    words += ["nodules?"] if nodules is None else [f"{one['form']} {one['long_axis_mm']:.0f} mm {one['side']}" for one in nodules]
    pneumonia = done("pneumonia")
    if pneumonia is None:
        words.append("pneumonia?")
    else:
        for kind in ("ground_glass", "consolidation"):
            words += [f"{kind} {one['volume_ml']:.0f} ml" for one in pneumonia[kind]]
    for name, word in (("rib_fractures", "rib fracture"), ("pleural_effusions", "effusion"), ("pneumothoraces", "pneumothorax"), ("lymph_nodes", "node")):
        some = done(name)
        words += [f"{word}?"] if some is None else [word] * len(some)
    return ", ".join(words) or "nothing"


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("series", type=pathlib.Path)
    arguments.add_argument("--out", type=pathlib.Path, required=True)
    arguments.add_argument("--only", nargs="*", help="these versions")
    arguments.add_argument("--scansidectl", type=pathlib.Path, default=root / "target/debug/scansidectl")
    arguments.add_argument("--packages", type=pathlib.Path, default=root / "models/packages")
    a = arguments.parse_args()
    if root in a.out.resolve().parents:
        sys.exit(f"{a.out} lies in the repository: no picture of a patient belongs there")
    series = Series(a.series)
    for name, changed in versions(series):
        if a.only and name not in a.only:
            continue
        write(series, a.out / name, changed)
        command = [a.scansidectl, "--json", "analyze", a.out / name, "--packages", a.packages]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode:
            sys.exit(f"{name}: {ran.stderr.strip()}")
        (a.out / f"{name}.json").write_text(ran.stdout)
        [one] = json.loads(ran.stdout)["series"]
        print(f"{name:18} {told(one['findings']) if one['findings'] else one['verdict']}", flush=True)


if __name__ == "__main__":
    main()
