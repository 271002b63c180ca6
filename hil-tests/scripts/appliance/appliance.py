#!/usr/bin/env python3
"""Tests of the appliance as it is installed: the package in a Debian guest with a real systemd, in QEMU (`make appliance`).

    appliance.py install            fresh image, apt install, READY, C-ECHO, a study, results at the archive, users, memory, upgrade
    appliance.py sandbox            what the unit may do, and what it may not
    appliance.py faults             killed, hung, out of memory, full disk, wrong clock, network cut
    appliance.py cuts --rounds 100  power cuts under load, with a drive that loses what was not flushed

Figures are printed and kept in out/appliance/NAME.json; when a test fails, its folder is kept (serial log, disk, archive).
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import cuts
import faults
import install
import sandbox
from guest import ROOT, Trouble


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("test", choices=["install", "sandbox", "faults", "cuts"])
    parser.add_argument("--deb", type=pathlib.Path, default=ROOT / "out/deb/scanside.deb")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=20260)
    parser.add_argument("--minutes", type=float, default=170, help="no round of `cuts` begins after this")
    parser.add_argument("--saved", type=pathlib.Path, help="of `cuts` and `faults`: the folder of an earlier run, whose saved guest is used again")
    parser.add_argument("--resume", type=pathlib.Path, help="of `cuts`: the folder of a run that was interrupted; it goes on")
    parser.add_argument("--keep", action="store_true", help="keep the folder also when nothing failed")
    options = parser.parse_args()
    for program in ["qemu-system-x86_64", "mmdebstrap", "mkfs.ext4", "debugfs", "storescu", "storescp", "echoscu"]:
        if not (shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")):
            print(f"appliance: {program} is missing: run `hil-tests/scripts/setup.sh hil`", file=sys.stderr)
            return 2
    if not options.deb.exists():
        print(f"appliance: no package {options.deb}: run `make deb`", file=sys.stderr)
        return 2
    out = ROOT / "out/appliance"
    out.mkdir(parents=True, exist_ok=True)
    folder = options.resume or pathlib.Path(tempfile.mkdtemp(prefix=f"{options.test}-", dir=out))
    folder = folder.resolve()
    begun = time.monotonic()
    run = {"install": install.run, "sandbox": sandbox.run, "faults": faults.run, "cuts": cuts.run}[options.test]
    try:
        figures = run(folder, options)
    except (Trouble, subprocess.SubprocessError, AssertionError) as trouble:
        print(f"FAILED: {trouble}\nkept: {folder}", file=sys.stderr)
        return 1
    figures["seconds"] = round(time.monotonic() - begun)
    (out / f"{options.test}.json").write_text(json.dumps(figures, indent=1) + "\n")
    if not options.keep:
        shutil.rmtree(folder)
    print(f"appliance {options.test}: ok, {figures['seconds']} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
