"""A manager of Unified Procedure Steps (UPS Pull, PS3.4 annex CC) of pynetdicom that a test steers: one JSON object a line on stdin, one
a line on stdout. It keeps the state machine of the standard and answers every illegal move with the status of the standard.

{"do": "listen", "port": N}                     -> {"port": N}
{"do": "add", "uid": ..., "data": DICOM JSON}   a task, scheduled
{"do": "claim", "uid": ...}                     somebody else claims it
{"do": "cancel", "uid": ...}                    writes down that it is not wanted
{"do": "lose", "what": "claimed"|"set"|"completed"|"canceled", "times": N}   does it and ends the association without an answer
{"do": "tasks"}                                 -> {"tasks": {uid: ...}, "illegal": [...]}
{"do": "close"}                                 ends the server
What arrives by itself is told as {"event": ...}.
"""

import json
import sys
import threading
import warnings

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import UnifiedProcedureStepPull as PULL, UnifiedProcedureStepPush as PUSH, Verification

warnings.simplefilter("ignore")
lock = threading.RLock()
tasks, illegal, loses, kept = {}, [], {}, {}


def say(**what):
    with lock:
        print(json.dumps(what), flush=True)


def wrong(uid, what):
    illegal.append([uid, what])


class Task:
    def __init__(self, data):
        self.data = data
        self.state = "SCHEDULED"
        self.transaction = None
        self.claims = 0
        self.progress = []

    def stands(self):
        done = self.data.get("UnifiedProcedureStepPerformedProcedureSequence", [])
        outputs = [str(one.ReferencedSOPInstanceUID) for item in done for out in item.get("OutputInformationSequence", [])
                   for one in out.ReferencedSOPSequence]
        places = [str(out.DICOMRetrievalSequence[0].RetrieveAETitle) for item in done
                  for out in item.get("OutputInformationSequence", []) if "DICOMRetrievalSequence" in out]
        info = self.data.get("ProcedureStepProgressInformationSequence", [])
        why = [str(code.CodeValue) for item in info for code in item.get("ProcedureStepDiscontinuationReasonCodeSequence", [])]
        return {"state": self.state, "transaction": self.transaction, "claims": self.claims, "progress": self.progress,
                "outputs": outputs, "places": places, "why": why}


def missing(task, state):
    """What table CC.2.5-3 requires in the final state and is not there."""
    info = task.data.get("ProcedureStepProgressInformationSequence", [])
    if state == "CANCELED":
        names = ["ProcedureStepCancellationDateTime", "ProcedureStepDiscontinuationReasonCodeSequence"]
        return [name for name in names if not info or not info[0].get(name)]
    done = task.data.get("UnifiedProcedureStepPerformedProcedureSequence", [])
    if len(done) != 1:
        return ["UnifiedProcedureStepPerformedProcedureSequence"]
    names = ["PerformedStationNameCodeSequence", "PerformedProcedureStepStartDateTime", "PerformedWorkitemCodeSequence",
             "PerformedProcedureStepEndDateTime", "OutputInformationSequence"]
    absent = [name for name in names if not done[0].get(name)]
    for out in done[0].get("OutputInformationSequence", []):
        absent += [name for name in ["TypeOfInstances", "StudyInstanceUID", "SeriesInstanceUID", "ReferencedSOPSequence"] if not out.get(name)]
        if not out.get("DICOMRetrievalSequence") and not out.get("WADORSRetrievalSequence"):
            absent.append("a retrieval sequence")
    return absent


def lost(what, event):
    if loses.get(what, 0) > 0:
        loses[what] -= 1
        event.assoc.abort()


def on_action(event):
    uid = str(event.request.RequestedSOPInstanceUID)
    with lock:
        data = event.action_information
        if str(event.request.RequestedSOPClassUID) != PUSH or event.action_type != 1:
            wrong(uid, "class or action type")
            return 0xC314, None
        task = tasks.get(uid)
        if task is None:
            return 0xC307, None
        state, transaction = str(data.ProcedureStepState), str(data.get("TransactionUID", ""))
        if not transaction:
            wrong(uid, "no transaction UID")
            return 0xC301, None
        if state == "IN PROGRESS":
            if task.state == "IN PROGRESS":
                status = 0xC302
            elif task.state != "SCHEDULED":
                status = 0xC300
            else:
                task.state, task.transaction, task.claims = state, transaction, task.claims + 1
                status = 0
            say(event="claimed", uid=uid, transaction=transaction, answer=status)
            lost("claimed", event)
            return status, None
        if state not in ("COMPLETED", "CANCELED"):
            wrong(uid, f"state {state}")
            return 0xC303, None
        if task.state == "SCHEDULED":
            wrong(uid, f"{state} before it was claimed")
            return 0xC310, None
        if transaction != task.transaction:
            wrong(uid, f"{state} of another's task")
            return 0xC301, None
        if task.state != "IN PROGRESS":
            return (0xC300 if task.state != state else 0xB306 if state == "COMPLETED" else 0xB304), None
        absent = missing(task, state)
        if absent:
            wrong(uid, f"{state} without {absent}")
            return 0xC304, None
        task.state = state
        say(event=state.lower(), uid=uid)
        lost(state.lower(), event)
        return 0, None


def on_set(event):
    uid = str(event.request.RequestedSOPInstanceUID)
    with lock:
        data = event.modification_list
        task = tasks.get(uid)
        if task is None:
            return 0xC307, None
        if task.state == "SCHEDULED":
            wrong(uid, "set before it was claimed")
            return 0xC310, None
        if str(data.get("TransactionUID", "")) != task.transaction:
            return 0xC301, None
        if task.state != "IN PROGRESS":
            return 0xC300, None
        if "ProcedureStepState" in data:
            wrong(uid, "the state was set")
            return 0x0106, None
        for element in data:
            if element.keyword != "TransactionUID":
                task.data[element.tag] = element
        info = data.get("ProcedureStepProgressInformationSequence", [])
        if info and "ProcedureStepProgress" in info[0]:
            task.progress.append(int(info[0].ProcedureStepProgress))
        say(event="set", uid=uid, progress=task.progress[-1:], data=data.to_json_dict())
        lost("set", event)
        return 0, data


def on_get(event):
    uid = str(event.request.RequestedSOPInstanceUID)
    with lock:
        task = tasks.get(uid)
        if task is None:
            return 0xC307, None
        answer = Dataset()
        for tag in event.attribute_identifiers:
            if tag in task.data:
                answer[tag] = task.data[tag]
        answer.ProcedureStepState = task.state
        return 0, answer


def on_find(event):
    with lock:
        asked = event.identifier
        wanted = str(asked.get("ProcedureStepState", ""))
        stations = [str(one.get("CodeValue", "")) for one in asked.get("ScheduledStationNameCodeSequence", [])]
        for uid, task in list(tasks.items()):
            mine = [str(one.CodeValue) for one in task.data.get("ScheduledStationNameCodeSequence", [])]
            if wanted and task.state != wanted or any(station and station not in mine for station in stations):
                continue
            answer = Dataset()
            for element in asked:
                if element.tag in task.data:
                    answer[element.tag] = task.data[element.tag]
            answer.SOPClassUID, answer.SOPInstanceUID = PUSH, uid
            answer.ProcedureStepState = task.state
            yield 0xFF00, answer


def listen(order):
    ae = AE(ae_title=order.get("ae_title", "UPSMAN"))
    ae.maximum_associations = 20
    ae.add_supported_context(Verification)
    if not order.get("offers_none"):
        ae.add_supported_context(PULL, [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
    handlers = [(evt.EVT_C_FIND, on_find), (evt.EVT_N_GET, on_get), (evt.EVT_N_SET, on_set), (evt.EVT_N_ACTION, on_action)]
    server = ae.start_server(("127.0.0.1", order.get("port", 0)), block=False, evt_handlers=handlers)
    kept["server"] = server
    say(port=server.server_address[1])


def main():
    for line in sys.stdin:
        order = json.loads(line)
        what = order["do"]
        with lock:
            if what == "listen":
                listen(order)
            elif what == "add":
                tasks[order["uid"]] = Task(Dataset.from_json(json.dumps(order["data"])))
                say(status=0)
            elif what == "claim":
                task = tasks[order["uid"]]
                task.state, task.transaction, task.claims = "IN PROGRESS", generate_uid(), task.claims + 1
                say(status=0)
            elif what == "cancel":
                info, code = Dataset(), Dataset()
                code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "110500", "DCM", "Doctor canceled procedure"
                info.ProcedureStepDiscontinuationReasonCodeSequence = [code]
                tasks[order["uid"]].data.ProcedureStepProgressInformationSequence = [info]
                say(status=0)
            elif what == "lose":
                loses[order["what"]] = order["times"]
                say(status=0)
            elif what == "tasks":
                say(tasks={uid: task.stands() for uid, task in tasks.items()}, illegal=illegal)
            elif what == "close":
                kept.pop("server").shutdown()
                say(status=0)


main()
