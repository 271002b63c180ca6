"""Reads the objects of an exam as others do (pydicom, highdicom) and prints what is wrong with them, one complaint a line.

usage: check.py OBJECT.dcm...
"""

import sys
import warnings

import highdicom
import numpy
import pydicom

warnings.filterwarnings("ignore")
MULTI_FRAME, IMAGE, SEG, SR = (
    "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.6.1",
    "1.2.840.10008.5.1.4.1.1.66.4",
    "1.2.840.10008.5.1.4.1.1.88.34",
)


def main(paths):
    objects = {o.SOPInstanceUID: o for o in map(pydicom.dcmread, paths)}
    for path, item in zip(paths, objects.values()):
        for complaint in judge(path, item, objects):
            print(f"{path}: {complaint}")


def judge(path, item, objects):
    if item.SOPClassUID == MULTI_FRAME:
        times = [float(t) for t in item.FrameTimeVector]
        if len(times) != item.NumberOfFrames or times[0] != 0:
            yield f"{len(times)} frame times for {item.NumberOfFrames} frames, the first {times[0]}"
        if any(not 25 <= t <= 45 for t in times[1:]):
            yield f"frame times of 30 frames a second are from {min(times[1:])} to {max(times[1:])}"
        pixels = item.pixel_array
        if pixels.shape[:3] != (item.NumberOfFrames, item.Rows, item.Columns):
            yield f"pixels of shape {pixels.shape}"
        # Each frame shows its number as a bright bar; see the test.
        bars = [int((frame[4] > 128).sum()) for frame in pixels.reshape(pixels.shape[:3])]
        # It grows by two pixels and begins again at 190.
        if any((b - a) % 190 not in (1, 2, 3) for a, b in zip(bars, bars[1:])):
            yield f"frames are not in order: {bars}"
    elif item.SOPClassUID == IMAGE:
        if item.pixel_array.shape != (item.Rows, item.Columns):
            yield f"pixels of shape {item.pixel_array.shape}"
    elif item.SOPClassUID == SEG:
        seg = highdicom.seg.segread(path)
        for number, frame in enumerate(seg.PerFrameFunctionalGroupsSequence):
            source = frame.DerivationImageSequence[0].SourceImageSequence[0]
            key = objects.get(source.ReferencedSOPInstanceUID)
            if key is None or (key.Rows, key.Columns) != (seg.Rows, seg.Columns):
                yield f"frame {number} is derived from {source.ReferencedSOPInstanceUID}"
                continue
            mask = numpy.atleast_3d(seg.pixel_array.T).T[number] > 0
            # The lesion of the test is dark.
            if not mask.any() or key.pixel_array[mask].mean() > 70:
                yield f"frame {number} does not lie on the lesion"
    elif item.SOPClassUID == SR:
        report = highdicom.sr.srread(path)
        groups = report.content.get_planar_roi_measurement_groups()
        segments = [s for o in objects.values() if o.SOPClassUID == SEG for s in o.SegmentSequence]
        if {g.tracking_uid for g in groups} != {s.TrackingUID for s in segments}:
            yield "report and segmentation are about different lesions"


main(sys.argv[1:])
