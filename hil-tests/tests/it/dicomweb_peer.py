"""A DICOMweb client that nobody here wrote (dicomweb-client) looks for a patient, fetches everything, and tells what it saw as
one JSON object. Arguments: address of the service, Patient ID, and a folder for the objects."""

import json
import sys
from pathlib import Path

from dicomweb_client.api import DICOMwebClient

address, patient, folder = sys.argv[1:]
client = DICOMwebClient(address)


def value(row, tag):
    return row[tag].get("Value", [None])[0]


studies = client.search_for_studies(search_filters={"PatientID": patient})
nobody = client.search_for_studies(search_filters={"PatientID": "nobody"})
study = value(studies[0], "0020000D")
series = client.search_for_series(study)
ct = max((one for one in series if value(one, "00080060") == "CT"), key=lambda one: value(one, "00201209"))
ct_uid = value(ct, "0020000E")
few = client.search_for_instances(study, ct_uid, limit=2, offset=1)
objects = client.retrieve_study(study)
for one in objects:
    one.save_as(Path(folder) / f"{one.SOPInstanceUID}.dcm", enforce_file_format=True)
first = next(one for one in objects if one.SeriesInstanceUID == ct_uid)
frames = client.retrieve_instance_frames(study, ct_uid, first.SOPInstanceUID, [1])
metadata = client.retrieve_instance_metadata(study, ct_uid, first.SOPInstanceUID)
print(json.dumps({
    "studies": len(studies),
    "nobody": len(nobody),
    "name": value(studies[0], "00100010"),
    "modalities": studies[0]["00080061"]["Value"],
    "said": value(studies[0], "00201208"),
    "series": len(series),
    "few": len(few),
    "objects": len(objects),
    "frame_is_pixel_data": frames[0] == first.PixelData,
    "metadata": {tag: metadata[tag] for tag in ("00080018", "00280030")} if isinstance(metadata, dict) else
                {tag: metadata[0][tag] for tag in ("00080018", "00280030")},
    "described": len(client.retrieve_study_metadata(study)),
    "first": first.SOPInstanceUID,
}))
