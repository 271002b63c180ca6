"""Reads a bundle of recalls with the FHIR R4 models of a client that nobody here wrote (fhirclient, SMART Health IT): it refuses
unknown names, wrong types and what is missing. Follows every reference, and tells what it saw as one JSON object. Argument: the
file."""

import json
import sys

from fhirclient.models.bundle import Bundle

with open(sys.argv[1], encoding="utf-8") as file:
    bundle = Bundle(json.load(file), strict=True)
entries = {entry.fullUrl: entry.resource for entry in bundle.entry or []}
assert len(entries) == len(bundle.entry or []), "a fullUrl is there twice"
kinds = [resource.resource_type for resource in entries.values()]
tasks = []
for resource in entries.values():
    if resource.resource_type == "Observation":
        assert entries[resource.subject.reference].resource_type == "Patient"
    if resource.resource_type == "Task":
        patient = entries[getattr(resource, "for_fhir").reference]
        lesion = entries[resource.focus.reference]
        tasks.append(
            {
                "status": resource.status,
                "standing": resource.businessStatus.text,
                "due": resource.restriction.period.end.isostring[:10],
                "patient": patient.identifier[0].value,
                "born": patient.birthDate.isostring,
                "site": lesion.bodySite.coding[0].display,
                "mm": lesion.valueQuantity.value,
            }
        )
print(json.dumps({"type": bundle.type, "kinds": sorted(kinds), "tasks": tasks}))
