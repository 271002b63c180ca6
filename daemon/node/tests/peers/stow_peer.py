"""An archive with STOW-RS and QIDO-RS made of Python's HTTP server, its parser of multipart messages, and pydicom.

Says its port in a line, then a line for each object: SOP Instance UID, hash of the part. HTTP/1.0, so it closes after each answer.
A SOP class in the arguments is refused, with its reason.
"""

import email.parser
import email.policy
import hashlib
import http.server
import io
import json
import re
import sys
import urllib.parse

import pydicom
from pydicom.dataset import Dataset

REFUSED = set(sys.argv[1:])
has = {}


def item(data):
    one = Dataset()
    one.ReferencedSOPClassUID = data.SOPClassUID
    one.ReferencedSOPInstanceUID = data.SOPInstanceUID
    return one


class Archive(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, code, data):
        body = json.dumps(data).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
        parts = [part.get_payload(decode=True) for part in message.iter_parts()] if message.is_multipart() else []
        if self.path != "/web/studies" or message.get_param("type") != "application/dicom" or not parts:
            return self.answer(400, {})
        response = Dataset()
        response.ReferencedSOPSequence, response.FailedSOPSequence = [], []
        for part in parts:
            data = pydicom.dcmread(io.BytesIO(part))
            one = item(data)
            if data.SOPClassUID in REFUSED:
                one.FailureReason = 0x0122
                response.FailedSOPSequence.append(one)
                continue
            has[str(data.SOPInstanceUID)] = data
            print(data.SOPInstanceUID, hashlib.sha256(part).hexdigest(), flush=True)
            response.ReferencedSOPSequence.append(one)
        self.answer(409 if response.FailedSOPSequence else 200, response.to_json_dict())

    def do_GET(self):
        asked = urllib.parse.urlsplit(self.path)
        matches = re.fullmatch(r"/web/studies/([0-9.]+)/instances", asked.path)
        uid = urllib.parse.parse_qs(asked.query).get("SOPInstanceUID", [""])[0]
        if not matches:
            return self.answer(404, {})
        data = has.get(uid)
        found = data is not None and data.StudyInstanceUID == matches[1]
        answer = Dataset()
        answer.SOPInstanceUID = uid
        self.answer(200, [answer.to_json_dict()] if found else [])


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Archive)
print(server.server_port, flush=True)
server.serve_forever()
