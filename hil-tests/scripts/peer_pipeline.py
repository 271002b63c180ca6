"""The peer of `make bench`: chest CT as a plain Python program would do it, with the same network.

    peer_pipeline.py --series FOLDER --package DIRECTORY --out FOLDER [--threads 2]

Reads with pydicom, resamples and labels with SciPy, infers with ONNX Runtime, writes SR and SEG with highdicom. It
measures only the volume and mean of each component, which is less work than the daemon does. Prints seconds
of every stage as one line of JSON.
"""

import argparse
import json
import pathlib
import time
import tomllib

import highdicom as hd
import numpy as np
import onnxruntime
import pydicom
from highdicom.sr.coding import CodedConcept
from pydicom.sr.codedict import codes
from scipy import ndimage

AIR_HU = -400
MARGIN_MM = 30.0


class Clock:
    def __init__(self):
        self.stages, self.last = {}, time.perf_counter()

    def lap(self, stage):
        now = time.perf_counter()
        self.stages[stage] = now - self.last
        self.last = now


def read(folder):
    """Slices from the feet to the head, HU [slice, row, column] and spacing in that order, mm."""
    files = [pydicom.dcmread(p) for p in sorted(pathlib.Path(folder).rglob("*")) if p.is_file() and p.suffix != ".json"]
    slices = [f for f in files if f.get("Modality") == "CT" and "LOCALIZER" not in f.ImageType]
    slices.sort(key=lambda s: float(s.ImagePositionPatient[2]))
    hu = np.stack([(s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept)).astype(np.int16) for s in slices])
    step = float(slices[1].ImagePositionPatient[2]) - float(slices[0].ImagePositionPatient[2])
    return slices, hu, (step, *map(float, slices[0].PixelSpacing))


def lungs(hu, spacing):
    """Air inside the body, its two largest parts, closed; found on a grid of about 2.5 mm."""
    steps = [max(1, round(2.5 / s)) for s in spacing]
    air = hu[:: steps[0], :: steps[1], :: steps[2]] < AIR_HU
    marks, count = ndimage.label(air)
    sizes = np.bincount(marks.ravel(), minlength=count + 1)
    sizes[0] = 0
    for face in (marks[:, 0], marks[:, -1], marks[:, :, 0], marks[:, :, -1]):
        sizes[np.unique(face)] = 0
    wanted = np.zeros(count + 1, bool)
    wanted[np.argsort(sizes)[-2:]] = True
    mask = ndimage.binary_closing(wanted[marks], iterations=3)
    for axis, step in enumerate(steps):
        mask = np.repeat(mask, step, axis)
    return mask[: hu.shape[0], : hu.shape[1], : hu.shape[2]]


def starts(length, patch, overlap):
    if length <= patch:
        return [0]
    count = -(-(length - patch) // (patch - overlap)) + 1
    return [i * (length - patch) // (count - 1) for i in range(count)]


def infer(session, image, patch, overlap):
    """Blended probability [channel, z, y, x] of an image [window, z, y, x]."""
    shape = image.shape[1:]
    taper = [np.minimum(np.arange(n) + 1, n - np.arange(n)) / -(-n // 2) for n in patch]
    weight = (taper[0][:, None, None] * taper[1][:, None] * taper[2]).astype(np.float32)
    sums, weights = None, np.zeros(shape, np.float32)
    for z in starts(shape[0], patch[0], overlap):
        for y in starts(shape[1], patch[1], overlap):
            for x in starts(shape[2], patch[2], overlap):
                box = (slice(z, z + patch[0]), slice(y, y + patch[1]), slice(x, x + patch[2]))
                (answer,) = session.run(None, {"image": np.ascontiguousarray(image[:, *box])[None]})
                if sums is None:
                    sums = np.zeros((answer.shape[1], *shape), np.float32)
                sums[:, *box] += answer[0] * weight
                weights[box] += weight
    return sums / weights


def components(probability, channels, thresholds, spacing):
    """(channel, mask on the network's grid) of every component that is sure enough."""
    found = []
    for index, channel in enumerate(channels):
        limit = thresholds[channel]
        marks, _ = ndimage.label(probability[index] >= limit["mask"])
        for number, box in enumerate(ndimage.find_objects(marks), 1):
            mask = marks[box] == number
            if probability[index][box][mask].max() >= limit["confidence"] and mask.sum() * spacing**3 >= 14.0:
                found.append((channel, box, mask))
    return found


def to_original(found, shape, first, factor):
    """Masks on the CT's own grid."""
    masks = []
    for channel, box, mask in found:
        whole = np.zeros(shape, bool)
        low = [int(f + b.start * z) for f, b, z in zip(first, box, factor)]
        part = ndimage.zoom(mask.astype(np.float32), factor, order=1) >= 0.5
        high = [min(a + n, s) for a, n, s in zip(low, part.shape, shape)]
        low = [max(a, 0) for a in low]
        if all(b > a for a, b in zip(low, high)):
            whole[tuple(slice(a, b) for a, b in zip(low, high))] = part[tuple(slice(0, b - a) for a, b in zip(low, high))]
            masks.append((channel, whole))
    return masks


def write(slices, hu, masks, voxel_ml, out):
    algorithm = hd.AlgorithmIdentificationSequence(name="peer", version="1", family=codes.cid7162.ArtificialIntelligence)
    names = ["lungs" if i == 0 else f"{channel} {i}" for i, (channel, _) in enumerate(masks)]
    segments = [
        hd.seg.SegmentDescription(
            segment_number=i + 1, segment_label=name, segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Nodule, algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm, tracking_uid=hd.UID(), tracking_id=name,
        )
        for i, name in enumerate(names)
    ]
    seg = hd.seg.Segmentation(
        source_images=slices, pixel_array=np.stack([m for _, m in masks], axis=-1).astype(np.uint8),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY, segment_descriptions=segments,
        series_instance_uid=hd.UID(), series_number=100, sop_instance_uid=hd.UID(), instance_number=1,
        manufacturer="peer", manufacturer_model_name="peer", software_versions="1", device_serial_number="1",
    )
    seg.save_as(out / "seg.dcm")
    groups = []
    for i, (_, mask) in enumerate(masks):
        segment = hd.sr.ReferencedSegment.from_segmentation(seg, segment_number=i + 1)
        groups.append(
            hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
                tracking_identifier=hd.sr.TrackingIdentifier(uid=segments[i].tracking_uid, identifier=names[i]),
                referenced_segment=segment, finding_type=codes.SCT.Nodule,
                measurements=[
                    hd.sr.Measurement(name=codes.SCT.Volume, value=float(mask.sum() * voxel_ml), unit=CodedConcept("mL", "UCUM", "mL")),
                    hd.sr.Measurement(name=CodedConcept("112031", "DCM", "Attenuation Coefficient"), value=float(hu[mask].mean()), unit=CodedConcept("[hnsf'U]", "UCUM", "HU")),
                ],
            )
        )
    context = hd.sr.ObservationContext(
        observer_device_context=hd.sr.ObserverContext(
            observer_type=codes.DCM.Device, observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(uid=hd.UID())
        )
    )
    report = hd.sr.MeasurementReport(
        observation_context=context, procedure_reported=codes.LN.CTUnspecifiedBodyRegion, imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    hd.sr.Comprehensive3DSR(
        evidence=[*slices, seg], content=report, series_number=101, series_instance_uid=hd.UID(), sop_instance_uid=hd.UID(),
        instance_number=1, manufacturer="peer", is_complete=True, is_final=True, is_verified=False,
    ).save_as(out / "sr.dcm")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--series", required=True)
    arguments.add_argument("--package", required=True, type=pathlib.Path)
    arguments.add_argument("--out", required=True, type=pathlib.Path)
    arguments.add_argument("--threads", type=int, default=2)
    a = arguments.parse_args()
    clock = Clock()
    package = tomllib.loads((a.package / "model.toml").read_text())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = a.threads
    session = onnxruntime.InferenceSession(str(a.package / package["variants"][0]["network"]), options, ["CPUExecutionProvider"])
    clock.lap("load")
    slices, hu, spacing = read(a.series)
    clock.lap("read")
    mask = lungs(hu, spacing)
    clock.lap("lungs")
    wanted, patch = package["input"]["spacing_mm"], package["input"]["patch"]
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    margin = [int(MARGIN_MM / s) for s in spacing]
    low = [max(b.start - m, 0) for b, m in zip(box, margin)]
    high = [min(b.stop + m, n) for b, m, n in zip(box, margin, hu.shape)]
    factor = [s / wanted for s in spacing]
    part = hu[tuple(slice(a, b) for a, b in zip(low, high))].astype(np.float32)
    small = ndimage.zoom(part, factor, order=1)
    small = np.pad(small, [(0, max(p - n, 0)) for p, n in zip(patch, small.shape)], constant_values=-1024)
    image = np.stack([(np.clip(small, a, b) - a) / (b - a) for a, b in package["input"]["windows_hu"]]).astype(np.float32)
    clock.lap("resample")
    probability = infer(session, image, patch, package["input"]["overlap"])
    clock.lap("inference")
    found = components(probability, package["outputs"]["channels"], package["thresholds"], wanted)
    masks = [("lungs", mask)] + to_original(found, hu.shape, low, [1 / f for f in factor])
    clock.lap("postprocess")
    a.out.mkdir(parents=True, exist_ok=True)
    write(slices, hu, masks, float(np.prod(spacing)) / 1000, a.out)
    clock.lap("report")
    print(json.dumps({"stages_s": clock.stages, "regions": len(masks) - 1}))


if __name__ == "__main__":
    main()
