#!/usr/bin/env python3
"""Writes docs/appliance.md from what the tests have measured (out/appliance/*.json)."""

import json

from guest import ROOT

HEAD = """# The appliance in figures

Written by `hil-tests/scripts/appliance/figures.py` from the last run of `make appliance`; do not edit. The guest is Debian 12 with systemd 252 in QEMU
without KVM: every instruction is emulated, on two cores that did other work as well, so times are upper bounds.
"""
# Rows of the installation that are long texts.
LEFT_OUT = {"verdict", "seconds"}


def cell(value) -> str:
    text = "; ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text.replace("|", "/").replace("\n", " ").strip()


def table(head: list[str], rows: list[list]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]) + "\n"


def main() -> None:
    found = {name: ROOT / f"out/appliance/{name}.json" for name in ["install", "sandbox", "cuts"]}
    read = {name: json.loads(path.read_text()) for name, path in found.items() if path.exists()}
    text = [HEAD]
    if install := read.get("install"):
        text.append("## From a fresh Debian to results at the archive (`make appliance TEST=install`)\n")
        text.append(table(["what", "found"], [[k, v] for k, v in install.items() if k not in LEFT_OUT]))
    if sandbox := read.get("sandbox"):
        text.append("## The sandbox (`make appliance TEST=sandbox`)\n")
        text.append("A probe in place of the daemon, under its unit. `no` with the reason; then the same in the unit as root, and as root without the unit,\n"
                    "where each must be possible. Rows `need_` must be possible.\n")
        text.append(table(["tried", "found"], [[k, v] for k, v in sandbox.items() if k not in LEFT_OUT]))
    if cuts := read.get("cuts"):
        text.append("## Power cuts (`make appliance TEST=cuts`)\n")
        text.append(table(["what", "found"], [[k, v] for k, v in cuts.items() if k not in {"table", "seconds"}]))
        text.append("`cut`: seconds after the scanner began to send; `aimed`: at an instant at which something was written and not flushed; `READY`: exec to READY\n"
                    "at the start of the round, after the cut before; `checked`: acknowledged instances found once and byte-equal then.\n")
        text.append(table(["round", "READY, s", "checked", "cut, s", "aimed", "acknowledged", "drive"],
                          [[r["round"], r["ready_s"], r["checked"], r["cut_s"], "yes" if r["aimed"] else "", r["acknowledged"],
                            r["drive"].replace(" unflushed writes lost", "")] for r in cuts["table"] if "cut_s" in r]))
    (ROOT / "docs/appliance.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()
