"""Opens a file-set with pydicom, as a viewer would, and prints what it found as JSON."""

import json
import sys
from pathlib import Path

import pydicom
from pydicom.fileset import FileSet

root = Path(sys.argv[1])
files = FileSet(root / "DICOMDIR")
found = []
for one in files:
    dataset = one.load()
    keys = {key: str(one[key].value) for key in ("PatientID", "PatientName", "StudyInstanceUID", "SeriesInstanceUID", "Modality")}
    assert keys["PatientID"] == str(dataset.PatientID), keys
    assert keys["PatientName"] == str(dataset.PatientName), keys
    assert keys["StudyInstanceUID"] == dataset.StudyInstanceUID, keys
    assert keys["SeriesInstanceUID"] == dataset.SeriesInstanceUID, keys
    assert keys["Modality"] == dataset.Modality, keys
    assert one.SOPInstanceUID == dataset.SOPInstanceUID and one.SOPClassUID == dataset.SOPClassUID
    found.append({
        "uid": str(one.SOPInstanceUID),
        "type": one.DirectoryRecordType,
        "file": list(Path(one.path).resolve().relative_to(root.resolve()).parts),
    })
directory = pydicom.dcmread(root / "DICOMDIR")
print(json.dumps({
    "uid": str(directory.file_meta.MediaStorageSOPInstanceUID),
    "patients": len(files.find_values("PatientID")),
    "files": found,
}))
