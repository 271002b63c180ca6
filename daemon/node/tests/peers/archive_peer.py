"""An archive of pynetdicom with Query/Retrieve (Study Root): C-FIND, C-GET, C-MOVE. It answers as its order says, well or badly.
Argument: the order as JSON. Tells its port as a line of JSON, then each question as another. Ends with its standard input.

folder: files that it has.          get, move: whether it takes C-GET; destinations of C-MOVE by AE title (port).
delay: seconds before each answer of C-FIND.  slow: seconds before each object.  sends_as: attributes that objects get when sent.
ignores_keys: answers with all it has.  endless: answers of C-FIND without end.  fails: status of C-GET without any object.
nameless: sends without Move Originator.  floods: new objects of the series without end, whatever is cancelled."""

import itertools
import json
import sys
import threading
import time
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind as FIND,
    StudyRootQueryRetrieveInformationModelGet as GET,
    StudyRootQueryRetrieveInformationModelMove as MOVE,
    Verification,
)

ORDER = json.loads(sys.argv[1])
LOCK = threading.Lock()


def tell(**what):
    with LOCK:
        print(json.dumps(what), flush=True)


def files():
    return [dcmread(path) for path in sorted(Path(ORDER["folder"]).glob("*.dcm"))]


def answer(one, level, all_files):
    ds = Dataset()
    ds.SpecificCharacterSet = one.get("SpecificCharacterSet", "ISO_IR 100")
    ds.QueryRetrieveLevel = level
    keys = ["PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyInstanceUID"]
    if level == "SERIES":
        keys = ["StudyInstanceUID", "SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription", "BodyPartExamined"]
        ds.NumberOfSeriesRelatedInstances = sum(f.SeriesInstanceUID == one.SeriesInstanceUID for f in all_files)
    else:
        ds.ModalitiesInStudy = one.Modality
    for key in keys:
        if key in one:
            setattr(ds, key, one[key].value)
    return ds


def find(event):
    asked, level = event.identifier, event.identifier.QueryRetrieveLevel
    tell(event="find", level=level, caller=event.assoc.requestor.ae_title, id=str(asked.get("PatientID", "")))
    time.sleep(ORDER.get("delay", 0))
    seen, known = set(), files()
    key = "StudyInstanceUID" if level == "STUDY" else "SeriesInstanceUID"
    while True:
        for one in known:
            if event.is_cancelled:
                tell(event="cancelled", what="find")
                yield 0xFE00, None
                return
            if one[key].value in seen and not ORDER.get("endless"):
                continue
            fits = one.PatientID == asked.PatientID if level == "STUDY" else one.StudyInstanceUID == asked.StudyInstanceUID
            if fits or ORDER.get("ignores_keys"):
                seen.add(one[key].value)
                yield 0xFF00, answer(one, level, known)
        if not ORDER.get("endless"):
            return


def wanted(event):
    uid = event.identifier.SeriesInstanceUID
    found = [one for one in files() if one.SeriesInstanceUID == uid]
    for one in found:
        for key, value in ORDER.get("sends_as", {}).items():
            setattr(one, key, value)
    return found


def send(event, what):
    tell(event=what, caller=event.assoc.requestor.ae_title)
    if "fails" in ORDER and what == "get":
        yield 1
        yield ORDER["fails"], None
        return
    found = wanted(event)
    if ORDER.get("floods"):
        yield 60000
        for number in itertools.count():
            one = found[0]
            one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"{one.SeriesInstanceUID}.7.{number}"
            yield 0xFF00, one
    yield len(found)
    for number, one in enumerate(found):
        time.sleep(ORDER.get("slow", 0))
        if event.is_cancelled:
            tell(event="cancelled", what=what)
            yield 0xFE00, None
            return
        tell(event="sending", number=number)
        yield 0xFF00, one


def get(event):
    yield from send(event, "get")


def move(event):
    port = ORDER.get("move", {}).get(event.move_destination)
    if port is None:
        yield None, None
        return
    contexts = [build_context(CTImageStorage, ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"])]
    yield "127.0.0.1", port, {"contexts": contexts}
    yield from send(event, "move")


plain = Association.send_c_store


def nameless(association, dataset, *args, **more):
    more.pop("originator_aet", None)
    more.pop("originator_id", None)
    return plain(association, dataset, *args, **more)


if ORDER.get("nameless"):
    Association.send_c_store = nameless

ae = AE(ae_title="ARCHIVE")
for context in [Verification, FIND] + ([GET] if ORDER.get("get", True) else []) + ([MOVE] if "move" in ORDER else []):
    ae.add_supported_context(context)
ae.add_supported_context(CTImageStorage, ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"], scu_role=False, scp_role=True)
handlers = [(evt.EVT_C_FIND, find), (evt.EVT_C_GET, get), (evt.EVT_C_MOVE, move)]
server = ae.start_server(("127.0.0.1", ORDER.get("port", 0)), block=False, evt_handlers=handlers)
tell(port=server.socket.getsockname()[1])
sys.stdin.read()
server.shutdown()
