"""A scanner, an archive, a worklist server or a manager of performed steps of pynetdicom that a test steers: one JSON object a line on stdin, one a line on stdout.

{"do": "listen", "role": "scanner" | "archive" | "worklist" | "manager" | "receiver", ...}   -> {"port": N}
{"do": "ask", ...}       N-ACTION of storage commitment  -> {"status": N}
{"do": "create" | "set", ...}   MPPS                     -> {"status": N, "uid": ...}
{"do": "find", ...}      C-FIND of the worklist          -> {"statuses": [...], "found": [...]}
{"do": "store", ...}     C-ECHO and C-STORE              -> {"echo": N, "status": N}
{"do": "steps"}          what the manager knows          -> {"steps": {...}, "illegal": [...]}
{"do": "answer"}         the manager answers what it holds back
{"do": "release"}        the association of "ask" with "keep"
What arrives by itself is told as {"event": ...}.
"""

import json
import ssl
import sys
import threading
import time
import warnings

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, build_role, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import (
    InstanceAvailabilityNotification as AVAILABILITY,
    ModalityPerformedProcedureStep as MPPS,
    ModalityWorklistInformationFind as WORKLIST,
    StorageCommitmentPushModel as COMMITMENT,
    Verification,
)

class Checkpoint(threading.Event):
    """Where the reactor of an association stops while a request waits for its answer.

    pynetdicom 3.0 marks the reactor as running again a moment after it has passed: a request that looks in this moment thinks that
    the reactor stands still, and the reactor takes its answer away, so that it waits for ever. Here both happen at once.
    """

    def __init__(self, association):
        super().__init__()
        self.association = association

    def wait(self, timeout=None):
        with self._cond:
            passed = self._cond.wait_for(lambda: self._flag, timeout)
            self.association._is_paused = False
        return passed


def guarded(make):
    def init(self, *arguments, **named):
        make(self, *arguments, **named)
        self._reactor_checkpoint = Checkpoint(self)
        self._reactor_checkpoint.set()

    return init


Association.__init__ = guarded(Association.__init__)
warnings.simplefilter("ignore")
INSTANCE = "1.2.840.10008.1.20.1.1"
lock = threading.Lock()
kept = {}


def say(**what):
    with lock:
        print(json.dumps(what), flush=True)


def transaction(uid, items, failed=()):
    data = Dataset()
    if uid is not None:
        data.TransactionUID = uid
    data.ReferencedSOPSequence = []
    for sop_class, sop_uid in items:
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class
        item.ReferencedSOPInstanceUID = sop_uid
        data.ReferencedSOPSequence.append(item)
    if failed:
        data.FailedSOPSequence = []
        for sop_class, sop_uid, reason in failed:
            item = Dataset()
            item.ReferencedSOPClassUID = sop_class
            item.ReferencedSOPInstanceUID = sop_uid
            item.FailureReason = reason
            data.FailedSOPSequence.append(item)
    return data


def on_report(answers):
    def handle(event):
        data = event.event_information
        status = answers.pop(0) if answers else 0
        listed = lambda name: [str(i.ReferencedSOPInstanceUID) for i in getattr(data, name, [])]
        failed = {str(i.ReferencedSOPInstanceUID): int(i.FailureReason) for i in getattr(data, "FailedSOPSequence", [])}
        role = event.assoc.acceptor.role_selection if event.assoc.is_acceptor else {}
        said = {uid: [item.scu_role, item.scp_role] for uid, item in role.items()}
        say(event="report", type=event.event_type, transaction=str(data.TransactionUID),
            kept=listed("ReferencedSOPSequence"), failed=failed, answer=status,
            syntax=str(event.context.transfer_syntax), own=not event.assoc.is_acceptor,
            caller=str(event.assoc.requestor.ae_title), roles=said)
        return status, None

    return handle


def on_notice(answers):
    """Instance Availability Notification; what table R.3.2-1 wants and is not there is refused, and so is one that is known."""
    known, online = set(), set()

    def handle(event):
        nonlocal online
        data, uid = event.attribute_list, str(event.request.AffectedSOPInstanceUID)
        objects = [one for series in data.get("ReferencedSeriesSequence", []) for one in series.ReferencedSOPSequence]
        words = {str(one.InstanceAvailability) for one in objects}
        uids = {str(one.ReferencedSOPInstanceUID) for one in objects}
        # Only what was there can be there no more.
        there = [bool(one.RetrieveAETitle) for one in objects] + [words == {"ONLINE"} or words == {"UNAVAILABLE"} and uids <= online]
        good = "ReferencedPerformedProcedureStepSequence" in data and data.get("StudyInstanceUID") and objects and all(there)
        status = answers.pop(0) if answers else 0x0111 if uid in known else 0 if good else 0x0120
        if status == 0:
            known.add(uid)
            online = online | uids if words == {"ONLINE"} else online - uids
        say(event="available", uid=uid, answer=status, study=str(data.get("StudyInstanceUID")), availability=sorted(words),
            objects=[str(one.ReferencedSOPInstanceUID) for one in objects], places=[str(one.RetrieveAETitle) for one in objects])
        return status, data if status == 0 else None

    return handle


class Archive:
    """Stores, and answers commitment as `commitment` says: refuse, new, same, never."""

    def __init__(self, order):
        self.order = order
        self.seen = []
        self.lost = set(order.get("loses", []))

    def store(self, event):
        say(event="stored", uid=str(event.request.AffectedSOPInstanceUID))
        self.seen.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    def action(self, event):
        data = event.action_information
        items = [(str(i.ReferencedSOPClassUID), str(i.ReferencedSOPInstanceUID)) for i in data.ReferencedSOPSequence]
        say(event="asked", transaction=str(data.TransactionUID), uids=[uid for _, uid in items])
        how = self.order["commitment"]
        if self.order.get("action_status"):
            return self.order["action_status"], None
        report = (data.TransactionUID, items)
        if how == "new":
            threading.Thread(target=self.report_new, args=report, daemon=True).start()
        elif how == "same":
            threading.Thread(target=self.report_same, args=(event.assoc, *report), daemon=True).start()
        return 0, None

    def data(self, uid, items):
        good = [item for item in items if item[1] not in self.lost]
        bad = [(*item, 0x0112) for item in items if item[1] in self.lost]
        return transaction(uid, good, bad), 2 if bad else 1

    def report_new(self, uid, items):
        ae = AE(ae_title=self.order["ae_title"])
        ae.add_requested_context(COMMITMENT)
        host, port = self.order["report_to"]
        role = build_role(COMMITMENT, scp_role=True)
        assoc = ae.associate(host, port, ae_title=self.order.get("box", "SCANSIDE"), ext_neg=[role])
        if not assoc.is_established:
            say(event="reported", status=None)
            return
        data, kind = self.data(uid, items)
        status, _ = assoc.send_n_event_report(data, kind, COMMITMENT, INSTANCE)
        assoc.release()
        say(event="reported", status=status.Status if status else None)

    def report_same(self, assoc, uid, items):
        # The answer to the N-ACTION goes first.
        time.sleep(0.1)
        data, kind = self.data(uid, items)
        status, _ = assoc.send_n_event_report(data, kind, COMMITMENT, INSTANCE)
        say(event="reported", status=status.Status if status and "Status" in status else None)


def nested(value):
    """Lists of objects become sequences."""
    if not isinstance(value, list):
        return value
    items = []
    for one in value:
        item = Dataset()
        for keyword, inner in one.items():
            setattr(item, keyword, nested(inner))
        items.append(item)
    return items


def scheduled(entry):
    """An answer; None leaves an attribute out. pydicom encodes the texts in the declared character set."""
    data, step = Dataset(), Dataset()
    if entry.get("charset"):
        data.SpecificCharacterSet = entry["charset"]
    usual = {"AccessionNumber": "A-1", "PatientName": "DOE^JANE", "PatientID": "P1", "PatientBirthDate": "19700131",
             "PatientSex": "F", "StudyInstanceUID": "1.2.840.99.1", "RequestedProcedureID": "RP1",
             "RequestedProcedureDescription": "breast"}
    for keyword, value in {**usual, **entry.get("root", {})}.items():
        if value is not None:
            setattr(data, keyword, nested(value))
    usual = {"Modality": "US", "ScheduledStationAETitle": "US1", "ScheduledProcedureStepStartDate": "20260131",
             "ScheduledProcedureStepStartTime": "093000", "ScheduledProcedureStepDescription": "breast, both",
             "ScheduledProcedureStepID": "S1"}
    for keyword, value in {**usual, **entry.get("step", {})}.items():
        if value is not None:
            setattr(step, keyword, nested(value))
    if not entry.get("no_step"):
        data.ScheduledProcedureStepSequence = [step]
    return data


class Worklist:
    """Answers with "entries", "many" times; ends with "status", or after "after" answers by "how": abort or silent."""

    def __init__(self, order):
        self.order = order

    def find(self, event):
        asked = event.identifier
        step = asked.ScheduledProcedureStepSequence[0]
        say(event="query", modality=str(step.Modality), station=str(step.ScheduledStationAETitle),
            days=str(step.ScheduledProcedureStepStartDate), name=str(asked.PatientName), keys=len(asked),
            charset=str(asked.get("SpecificCharacterSet", "")), syntax=str(event.context.transfer_syntax),
            caller=str(event.assoc.requestor.ae_title))
        sent = 0
        for _ in range(self.order.get("many", 1)):
            for entry in self.order.get("entries", []):
                if event.is_cancelled:
                    say(event="cancelled", sent=sent)
                    yield 0xFE00, None
                    return
                if self.order.get("how") and sent == self.order.get("after", 0):
                    break
                yield self.order.get("pending", 0xFF00), scheduled(entry)
                sent += 1
        if self.order.get("how") == "abort":
            event.assoc.abort()
        elif self.order.get("how") == "silent":
            threading.Event().wait(self.order["seconds"])
        else:
            say(event="answered", sent=sent)
            status = Dataset()
            status.Status = self.order.get("status", 0)
            if self.order.get("comment"):
                status.ErrorComment = self.order["comment"]
            yield status, None


class Manager:
    """Keeps steps as PS3.4 annex F wants it. "answers": statuses that are given before it looks at a message; "holds": how many
    messages of each kind are taken and then not answered until "answer"; "aborts": likewise, with an A-ABORT."""

    steps, illegal, go = {}, [], threading.Event()
    # PS3.4 table F.7.2-1, SCU: types 1 and 2 of an N-CREATE.
    FILLED = ["ScheduledStepAttributesSequence", "PerformedProcedureStepID", "PerformedStationAETitle", "Modality",
              "PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime", "PerformedProcedureStepStatus"]
    THERE = ["PatientName", "PatientID", "PatientBirthDate", "PatientSex", "ReferencedPatientSequence", "PerformedStationName",
             "PerformedLocation", "PerformedProcedureStepDescription", "PerformedProcedureTypeDescription",
             "ProcedureCodeSequence", "PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime", "StudyID",
             "PerformedProtocolCodeSequence", "PerformedSeriesSequence"]

    def __init__(self, order):
        self.answers = {kind: list(statuses) for kind, statuses in order.get("answers", {}).items()}
        self.holds, self.aborts = dict(order.get("holds", {})), dict(order.get("aborts", {}))
        self.go.clear()

    def answer(self, kind, event, uid, data, work):
        planned = self.answers.get(kind)
        status = planned.pop(0) if planned else work(uid, data)
        code = status.Status if isinstance(status, Dataset) else status
        say(event=kind, uid=uid, answer=code, data=data.to_json_dict(), syntax=str(event.context.transfer_syntax),
            caller=str(event.assoc.requestor.ae_title))
        if self.aborts.get(kind, 0) > 0:
            self.aborts[kind] -= 1
            event.assoc.abort()
        if self.holds.get(kind, 0) > 0:
            self.holds[kind] -= 1
            self.go.wait(60)
        return status, data if code == 0 else None

    def create(self, event):
        return self.answer("created", event, str(event.request.AffectedSOPInstanceUID), event.attribute_list, self.begin)

    def set(self, event):
        return self.answer("set", event, str(event.request.RequestedSOPInstanceUID), event.modification_list, self.change)

    def begin(self, uid, data):
        if uid in self.steps:
            return 0x0111
        empty = [name for name in self.FILLED if not data.get(name)]
        empty += [name for name in self.THERE if name not in data]
        if empty or data.PerformedProcedureStepStatus != "IN PROGRESS":
            self.illegal.append([uid, "create", str(data.get("PerformedProcedureStepStatus")), empty])
            return 0x0120
        self.steps[uid] = {"state": "IN PROGRESS", "sets": 0}
        return 0

    def change(self, uid, data):
        if uid not in self.steps:
            return 0x0112
        step = self.steps[uid]
        if step["state"] != "IN PROGRESS":
            over = Dataset()
            over.Status, over.ErrorID = 0x0110, 0xA710
            over.ErrorComment = "Performed Procedure Step Object may no longer be updated"
            return over
        wanted = ["PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime", "PerformedSeriesSequence"]
        if data.PerformedProcedureStepStatus not in ("COMPLETED", "DISCONTINUED") or any(not data.get(n) for n in wanted):
            self.illegal.append([uid, "set", str(data.PerformedProcedureStepStatus)])
            return 0x0106
        step["state"], step["sets"] = str(data.PerformedProcedureStepStatus), step["sets"] + 1
        step["objects"] = [str(item.ReferencedSOPInstanceUID) for series in data.PerformedSeriesSequence
                           for name in ("ReferencedImageSequence", "ReferencedNonImageCompositeSOPInstanceSequence")
                           for item in series.get(name, [])]
        why = data.get("PerformedProcedureStepDiscontinuationReasonCodeSequence", [])
        step["why"] = [str(item.CodeValue) for item in why]
        return 0


def listen(order):
    ae = AE(ae_title=order["ae_title"])
    ae.maximum_associations = 20
    ae.add_supported_context(Verification)
    syntaxes = [ImplicitVRLittleEndian] if order.get("implicit_only") else [ImplicitVRLittleEndian, ExplicitVRLittleEndian]
    if order["role"] == "scanner":
        ae.add_supported_context(COMMITMENT, syntaxes, scu_role=False, scp_role=True)
        handlers = [(evt.EVT_N_EVENT_REPORT, on_report(list(order.get("answers", []))))]
    elif order["role"] == "manager":
        manager = Manager(order)
        if not order.get("offers_none"):
            ae.add_supported_context(MPPS, [UID(s) for s in order["syntaxes"]] if "syntaxes" in order else syntaxes)
        handlers = [(evt.EVT_N_CREATE, manager.create), (evt.EVT_N_SET, manager.set)]
    elif order["role"] == "receiver":
        ae.add_supported_context(AVAILABILITY, syntaxes)
        handlers = [(evt.EVT_N_CREATE, on_notice(list(order.get("answers", []))))]
    elif order["role"] == "worklist":
        ae.require_called_aet = order.get("strict", False)
        ae.require_calling_aet = order.get("knows", [])
        if not order.get("offers_none"):
            ae.add_supported_context(WORKLIST, [UID(s) for s in order["syntaxes"]] if "syntaxes" in order else syntaxes)
        handlers = [(evt.EVT_C_FIND, Worklist(order).find)]
    else:
        archive = Archive(order)
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(context.abstract_syntax, [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
        if order["commitment"] != "refuse":
            ae.add_supported_context(COMMITMENT, syntaxes)
        handlers = [(evt.EVT_C_STORE, archive.store), (evt.EVT_N_ACTION, archive.action)]
    context = None
    if "tls" in order:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*order["tls"])
    address = ("127.0.0.1", order.get("port", 0))
    server = ae.start_server(address, block=False, evt_handlers=handlers, ssl_context=context)
    kept["server"] = server
    say(port=server.server_address[1])


def associate(order, uid, handlers=()):
    ae = AE(ae_title=order["calling"])
    ae.add_requested_context(uid, [UID(s) for s in order.get("syntaxes", [str(ImplicitVRLittleEndian)])])
    host, port = order["to"]
    roles = [build_role(COMMITMENT, scu_role=True)] if order.get("role_item") else []
    assoc = ae.associate(host, port, ae_title=order.get("called", "SCANSIDE"), evt_handlers=list(handlers), ext_neg=roles)
    if not assoc.is_established:
        say(status=None, why="rejected" if assoc.is_rejected else "no association")
        return None
    if not assoc.accepted_contexts:
        say(status=None, why="context refused")
        assoc.release()
        return None
    return assoc


def store(order):
    """C-ECHO and C-STORE of a file; "tls": certificate, key, CA, name in the box's certificate; "identity": type, first and second
    field, whether an answer is wanted (user identity negotiation)."""
    data = dcmread(order["file"])
    ae = AE(ae_title=order["calling"])
    ae.add_requested_context(Verification)
    ae.add_requested_context(data.SOPClassUID, [data.file_meta.TransferSyntaxUID])
    secure = None
    if "tls" in order:
        certificate, key, ca, name = order["tls"]
        context = ssl.create_default_context(cafile=ca)
        context.load_cert_chain(certificate, key)
        secure = (context, name)
    host, port = order["to"]
    said = []
    if "identity" in order:
        identity = UserIdentityNegotiation()
        identity.user_identity_type, first, second, identity.positive_response_requested = order["identity"]
        identity.primary_field = first.encode()
        if second is not None:
            identity.secondary_field = second.encode()
        said = [identity]
    assoc = ae.associate(host, port, ae_title=order.get("called", "SCANSIDE"), tls_args=secure, ext_neg=said)
    if not assoc.is_established:
        primitive = assoc.acceptor.primitive
        why = [primitive.result, primitive.result_source, primitive.diagnostic] if assoc.is_rejected else "no association"
        say(status=None, why=why)
        return
    answered = assoc.acceptor.user_identity
    echo = status_of(assoc.send_c_echo())
    say(echo=echo, status=status_of(assoc.send_c_store(data)), believed=answered is not None)
    assoc.release()


def status_of(answer):
    return answer.Status if answer is not None and "Status" in answer else None


def ask(order):
    assoc = associate(order, COMMITMENT, [(evt.EVT_N_EVENT_REPORT, on_report([]))])
    if assoc is None:
        return
    data = transaction(order.get("transaction"), [tuple(item) for item in order["items"]])
    answer, _ = assoc.send_n_action(data, order.get("type", 1), COMMITMENT, order.get("instance", INSTANCE))
    say(status=status_of(answer), comment=str(answer.get("ErrorComment", "")))
    if order.get("keep"):
        kept["association"] = assoc
    elif order.get("abort"):
        assoc.abort()
    else:
        assoc.release()


def find(order):
    """C-FIND of the Modality Worklist; "data" is the identifier."""
    assoc = associate(order, WORKLIST)
    if assoc is None:
        return
    statuses, found = [], []
    for answer, data in assoc.send_c_find(Dataset.from_json(json.dumps(order["data"])), WORKLIST):
        statuses.append(status_of(answer))
        if data is not None:
            one = data.ScheduledProcedureStepSequence[0]
            found.append({
                "name": str(data.PatientName), "id": data.PatientID, "study": data.StudyInstanceUID, "number": data.AccessionNumber,
                "station": one.ScheduledStationAETitle, "date": one.ScheduledProcedureStepStartDate,
                "time": one.ScheduledProcedureStepStartTime, "step": one.ScheduledProcedureStepID,
            })
    say(statuses=statuses, found=found)
    assoc.release()


def step(order):
    # The UID of a step that was created is in the command only.
    heard = []
    handlers = [(evt.EVT_DIMSE_RECV, lambda event: heard.append(event.message.command_set))]
    assoc = associate(order, MPPS, handlers)
    if assoc is None:
        return
    data = Dataset.from_json(json.dumps(order["data"]))
    if order["do"] == "create":
        answer, _ = assoc.send_n_create(data, MPPS, order.get("uid"))
    else:
        answer, _ = assoc.send_n_set(data, MPPS, order["uid"])
    uid = heard[-1].get("AffectedSOPInstanceUID", "") if heard else ""
    say(status=status_of(answer), uid=str(uid), comment=str(answer.get("ErrorComment", "")),
        error_id=answer.get("ErrorID"))
    assoc.release()


def main():
    for line in sys.stdin:
        order = json.loads(line)
        what = order["do"]
        if what == "listen":
            listen(order)
        elif what == "ask":
            ask(order)
        elif what == "store":
            store(order)
        elif what == "find":
            find(order)
        elif what == "release":
            kept.pop("association").release()
            say(status=0)
        elif what == "steps":
            say(steps=Manager.steps, illegal=Manager.illegal)
        elif what == "answer":
            Manager.go.set()
            say(status=0)
        elif what == "forget":
            Manager.steps.clear()
            say(status=0)
        elif what == "close":
            kept.pop("server").shutdown()
            say(status=0)
        else:
            step(order)


main()
