#!/usr/bin/env python3
"""What gpu.sh needs beside the project's own programs. Python 3.11 and nothing else; the driver is asked through its C libraries.

    gpu.py device FILE ACCELERATOR   which card, driver and memory
    gpu.py watch FILE                the card's memory in use, MiB: at the start and the most until killed
    gpu.py hold LEFT FILE            takes all memory of the card but LEFT MiB, says so in FILE, keeps it until killed
    gpu.py provider FILE NAME        fails unless every CT in the answer of `scansidectl analyze` ran on NAME
    gpu.py compare FILE FILE [same]  differences in the findings of two answers; `same`: fails when there is one
    gpu.py ended WORK LEFT STATUS    how an analysis without memory ended; fails unless it ended well
    gpu.py only_fp32 MODEL_TOML      removes the variants for cards from a manifest
    gpu.py report WORK FILE          the table; all figures as JSON in FILE
"""

import ctypes
import json
import re
import signal
import sys
import time
from pathlib import Path

MIB = 1 << 20


# ---------------------------------------------------------------- the card


class Card:
    """The first card, through the driver's management library: needs no memory of the card for itself."""

    def __init__(self) -> None:
        self.nvml = ctypes.CDLL("libnvidia-ml.so.1")
        if self.nvml.nvmlInit_v2() != 0:
            raise OSError("nvmlInit failed")
        self.handle = ctypes.c_void_p()
        if self.nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(self.handle)) != 0:
            raise OSError("no card")

    def memory(self) -> tuple[int, int]:
        """In use and in all, MiB."""
        values = (ctypes.c_ulonglong * 3)()
        if self.nvml.nvmlDeviceGetMemoryInfo(self.handle, values) != 0:
            raise OSError("nvmlDeviceGetMemoryInfo failed")
        total, _, used = values
        return used // MIB, total // MIB

    def text(self, function: str) -> str:
        buffer = ctypes.create_string_buffer(96)
        if function == "driver":
            self.nvml.nvmlSystemGetDriverVersion(buffer, 96)
        else:
            self.nvml.nvmlDeviceGetName(self.handle, buffer, 96)
        return buffer.value.decode(errors="replace")


def device(file: str, accelerator: str) -> None:
    facts: dict[str, object] = {"accelerator": accelerator}
    try:
        card = Card()
        used, total = card.memory()
        facts |= {"card": card.text("name"), "driver": card.text("driver"), "memory_mib": total, "in_use_mib": used}
    except OSError as error:
        facts["card"] = f"none ({error})"
    Path(file).write_text(json.dumps(facts))
    print("gpu:", ", ".join(f"{key} {value}" for key, value in facts.items()))


def watch(file: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        card = Card()
    except OSError:
        return
    before = most = card.memory()[0]
    while True:
        most = max(most, card.memory()[0])
        Path(file).write_text(json.dumps({"before_mib": before, "most_mib": most}))
        time.sleep(0.05)


def hold(left: str, file: str) -> None:
    """Takes memory with plain allocations, in pieces that get smaller."""
    cuda = ctypes.CDLL("libcuda.so.1")
    context, free, total = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t()
    for name, result in [
        ("cuInit", cuda.cuInit(0)),
        ("cuDevicePrimaryCtxRetain", cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)),
        ("cuCtxSetCurrent", cuda.cuCtxSetCurrent(context)),
    ]:
        if result != 0:
            sys.exit(f"gpu: {name} failed: {result}")
    piece = 1024 * MIB
    while piece >= MIB:
        cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
        pointer = ctypes.c_uint64()
        fits = free.value - piece >= int(left) * MIB
        if not fits or cuda.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(piece)) != 0:
            piece //= 2
    Path(file).write_text(f"left {free.value // MIB} MiB of {total.value // MIB}")
    print(f"gpu: the card has {free.value // MIB} MiB left of {total.value // MIB}", flush=True)
    while True:
        time.sleep(3600)


# ---------------------------------------------------------------- answers of `scansidectl analyze`


def cts(file: str) -> dict[str, dict]:
    """Every CT series in an answer, by its UID."""
    series = json.loads(Path(file).read_text())["series"]
    return {one["series_uid"]: one for one in series if one["kind"] == "ct"}


def provider(file: str, name: str) -> None:
    found = cts(file)
    if not found:
        sys.exit("gpu: no CT in the answer")
    for one in found.values():
        used = one["accelerator"] or {"provider": "nothing", "fallback": one["verdict"]}
        if one["state"] != "processed" or used["provider"] != name:
            sys.exit(f"gpu: {one['state']} on {used['provider']}, not on {name}: {used['fallback']}; {one['verdict']}")


def lists(findings: dict) -> dict[str, list | str]:
    """What was found, by name: its places, or why it was not evaluated."""
    found: dict[str, list | str] = {}
    for name, value in findings.items():
        if not isinstance(value, dict) or not value.keys() & {"done", "not_evaluated"}:
            continue
        done = value.get("done", value.get("not_evaluated"))
        if isinstance(done, dict):
            parts = {f"{name}.{key}": part for key, part in done.items() if isinstance(part, list)}
            found |= parts or {name: [done]}
        else:
            found[name] = done
    return found


def numbers(value: object, path: str = "") -> dict[str, float]:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return {}
    if isinstance(value, (int, float)):
        return {path: float(value)}
    items = value.items() if isinstance(value, dict) else enumerate(value)  # type: ignore[arg-type]
    return {k: v for key, part in items for k, v in numbers(part, f"{path}.{key}").items()}


def differences(one: dict, other: dict) -> tuple[list[str], list[str]]:
    """Findings that are there in one only, and the number that differs most for each finding that is in both."""
    only, apart = [], []
    a, b = lists(one["findings"] or {}), lists(other["findings"] or {})
    for name in a.keys() | b.keys():
        left, right = a.get(name, "absent"), b.get(name, "absent")
        if isinstance(left, str) or isinstance(right, str) or len(left) != len(right):
            if left != right:
                say = [value if isinstance(value, str) else f"{len(value)} found" for value in (left, right)]
                only.append(f"{name}: {say[0]} | {say[1]}")
            continue
        x, y = numbers(left), numbers(right)
        keys = [key for key in x.keys() & y.keys() if "confidence" not in key]
        off = {key: abs(x[key] - y[key]) / max(abs(x[key]), abs(y[key]), 1.0) for key in keys}
        if off and (worst := max(off, key=lambda key: off[key])) and off[worst] > 0.001:
            apart.append(f"{name}{worst}: {x[worst]:.3f} | {y[worst]:.3f}")
    return sorted(only), sorted(apart)


def compare(first: str, second: str, same: str = "") -> None:
    a, b = cts(first), cts(second)
    failed = False
    for number, uid in enumerate(sorted(a.keys() & b.keys()), 1):
        only, apart = differences(a[uid], b[uid])
        failed = failed or bool(only or apart)
        for line in only:
            print(f"CT {number}: in one only: {line}")
        for line in apart:
            print(f"CT {number}: differs: {line}")
        print(f"CT {number}: {len(only)} findings in one only, {len(apart)} with a number that differs by more than 0.1 %")
    if not a.keys() & b.keys():
        sys.exit("gpu: no CT is in both answers")
    sys.exit(1 if failed and same else 0)


def ended(work: str, left: str, status: str) -> None:
    """Well: on the CPU with the reason, or on the card all the same, or refused with a message. Not: killed, a panic, no word."""
    said = Path(work, f"memory-{left}.txt").read_text(errors="replace")
    entry: dict[str, object] = {"left_mib": int(left), "exit": int(status)}
    held = Path(work, "held")
    entry["held"] = held.read_text() if held.exists() else "nothing"
    if status == "0":
        used = next(iter(cts(str(Path(work, f"memory-{left}.json"))).values()))["accelerator"] or {}
        entry |= {"provider": used.get("provider"), "fallback": used.get("fallback")}
    lines = [line for line in said.splitlines() if line.strip()]
    entry["message"] = " ".join(lines[-3:])[:400]
    entry["well"] = int(status) in (0, 1) and "panicked" not in said and (status == "0" or bool(lines))
    with Path(work, "memory.jsonl").open("a") as file:
        file.write(json.dumps(entry) + "\n")
    print("gpu:", json.dumps(entry))
    sys.exit(0 if entry["well"] else 1)


def only_fp32(file: str) -> None:
    text = Path(file).read_text()
    head, *blocks = re.split(r"(?=^\[\[variants\]\]$)", text, flags=re.MULTILINE)
    kept = [block for block in blocks if 'accelerator = "any"' in block]
    if len(kept) != 1 or not blocks[-1] == kept[0]:
        sys.exit("gpu: the manifest has no last variant for any accelerator")
    Path(file).write_text(head + kept[0])


# ---------------------------------------------------------------- the table


def lines_of(path: Path) -> list[dict]:
    """The JSON objects in a file, one a line; other lines are messages."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text(errors="replace").splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def whole(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def card_memory(work: Path, step: str) -> str:
    seen = whole(work / f"{step}.memory")
    return f"card +{seen['most_mib'] - seen['before_mib']} MiB" if isinstance(seen, dict) else ""


def of_golden(work: Path, name: str = "golden.jsonl") -> list[str]:
    rows = []
    for one in lines_of(work / name):
        if one["step"] == "golden":
            rows.append(
                f"{one['network']} ({one['precision']}): differs by {one['difference']:.5f} of {one['tolerance']} allowed, "
                f"loaded in {one['load_ms']:.0f} ms, first run {one['first_ms']:.0f} ms"
            )
        elif one["step"] == "patch":
            rows.append(
                f"{one['network']} on a whole patch: at most {one['difference_from_cpu_fp32']:.5f} (mean {one['mean_difference']:.7f}) "
                f"from FP32 on the CPU, first {one['first_ms']:.0f} ms, then {one['run_ms']:.1f} ms"
            )
    return rows


def of_ct(work: Path, name: str) -> list[str]:
    answer = work / f"{name}.json"
    if not isinstance(whole(answer), dict):
        return []
    rows = []
    for number, one in enumerate(cts(str(answer)).values(), 1):
        stages = ", ".join(f"{stage} {ms / 1000:.2f}" for stage, ms in one["timings_ms"])
        where = (one["accelerator"] or {}).get("provider", "nothing")
        rows.append(f"CT {number} of {one['instances']} slices on {where}, s: {stages}; {one['state']}")
    seconds = work / f"{name}.seconds"
    if seconds.exists():
        rows.append(f"all with loading: {float(seconds.read_text()):.1f} s {card_memory(work, name)}")
    return rows


def of_pictures(path: Path) -> list[str]:
    rows = []
    for one in lines_of(path):
        if one["step"] == "picture":
            rows.append(
                f"{one['network']}: p50 {one['p50']:.2f}, p99 {one['p99']:.2f}, p99.9 {one['p999']:.2f}, most {one['max']:.2f} ms "
                f"of {one['pictures']}; loaded in {one['load_ms']:.0f} ms, first {one['first_ms']:.0f} ms"
            )
        else:
            rows.append(f"CT network meanwhile: {one['patches']} patches of {one['mean_ms']:.1f} ms")
    return rows


def of_live(work: Path, name: str = "live") -> list[str]:
    figures = whole(work / name / "figures.json")
    if not isinstance(figures, dict):
        return []
    stats = figures["stats"]
    rows = [f"{stats['pictures']} pictures, {stats['lost']} lost, {stats['inferred']} analysed; {card_memory(work, name)}"]
    for name, latency in stats["stages"]:
        if name in ("infer", "overlay", "present"):
            rows.append(f"{name}: p50 {latency['p50']:.2f}, p99 {latency['p99']:.2f}, p99.9 {latency['p999']:.2f} ms")
    missed = [p for p in figures["lesions"]["planted"] if p["expected"] and not p["found"]]
    rows.append(f"{len(missed)} planted lesions missed, {figures['lesions']['false_alarms']} outlines on none")
    return rows


def of_precision(work: Path) -> list[str]:
    halves = [whole(work / name) for name in ("fp16.json", "fp32.json")]
    if not all(isinstance(half, list) for half in halves):
        return []
    rows, sums = [], []
    for half in halves:
        found: dict[str, list[int]] = {}
        for scan in half[0]:  # type: ignore[index]
            for case in scan["cases"]:
                if case["not_evaluated"] is None:
                    row = found.setdefault(case["finding"], [0, 0, 0])
                    for place, key in enumerate(("hit", "planted", "extra")):
                        row[place] += case[key]
        sums.append(found)
    for name in sums[0].keys() | sums[1].keys():
        one, other = (half.get(name, [0, 0, 0]) for half in sums)
        mark = "" if one == other else "  <- differs"
        rows.append(f"{name}: FP16 {one[0]} of {one[1]}, {one[2]} extra; FP32 {other[0]} of {other[1]}, {other[2]} extra{mark}")
    return sorted(rows)


def of_memory(work: Path) -> list[str]:
    rows = []
    for one in lines_of(work / "memory.jsonl"):
        how = f"on {one['provider']}" if one["exit"] == 0 else f"refused (exit {one['exit']})"
        why = one.get("fallback") or one["message"]
        rows.append(f"{one['left_mib']} MiB left: {how}{'' if one['well'] else ' NOT WELL'}; {why}"[:300])
    return rows


def text_rows(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines()[-12:] if path.exists() else []


def of_patches(path: Path) -> list[str]:
    return [
        f"{one['patches']} patches: {one['on_card_ms']:.0f} ms on the card, {one['by_runs_ms']:.0f} ms through the host; "
        f"{'equal maps' if one['equal'] else 'OTHER MAPS'}{'' if one['stayed'] else ', did NOT stay on the card'}"
        for one in lines_of(path)
        if one["step"] == "patches"
    ]


def report(work_name: str, out: str) -> None:
    work = Path(work_name)
    rows_of = {
        "contract": lambda: [line for line in text_rows(work / "contract.txt") if line.startswith("test result")],
        "kernels": lambda: [line for line in text_rows(work / "kernels.txt") if line.startswith(("test result", "kernels on"))],
        "lent": lambda: [line for line in text_rows(work / "lent.txt") if line.startswith(("test result", "lent: "))],
        "golden": lambda: of_golden(work),
        "ct": lambda: of_ct(work, "ct"),
        "ct_cpu": lambda: of_ct(work, "ct-cpu") + text_rows(work / "compare.txt"),
        "pictures": lambda: of_pictures(work / "pictures.jsonl") + [card_memory(work, "pictures")],
        "beside_thread": lambda: of_pictures(work / "beside-thread.jsonl"),
        "beside_process": lambda: of_pictures(work / "beside-process.jsonl") + of_pictures(work / "load.jsonl"),
        "live": lambda: of_live(work),
        "precision": lambda: of_precision(work),
        "memory": lambda: of_memory(work),
        "killed": lambda: text_rows(work / "killed.txt"),
        "trt_contract": lambda: [line for line in text_rows(work / "trt-contract.txt") if line.startswith("test result")],
        "trt_golden": lambda: of_golden(work, "trt-golden.jsonl"),
        "trt_patches": lambda: of_patches(work / "trt-patches.jsonl"),
        "trt_ct": lambda: of_ct(work, "ct-trt"),
        "trt_pictures": lambda: of_pictures(work / "trt-pictures.jsonl"),
        "trt_beside_thread": lambda: of_pictures(work / "trt-beside-thread.jsonl"),
        "trt_live": lambda: of_live(work, "trt-live"),
    }
    facts = whole(work / "device.json")
    device_facts = facts if isinstance(facts, dict) else {}
    fingerprint = [one["fingerprint"] for one in lines_of(work / "golden.jsonl") if one["step"] == "device"]
    figures = {"device": device_facts, "fingerprint": fingerprint, "steps": []}
    print(f"{device_facts.get('card')}; {'; '.join(fingerprint)}")
    for line in (work / "steps.txt").read_text().splitlines():
        step, seconds, verdict = line.split()
        try:
            rows = [row for row in rows_of.get(step, lambda: [])() if row]
        except (KeyError, TypeError, ValueError, IndexError, StopIteration) as error:
            rows = [f"the figures cannot be read: {error!r}"]
        verdict = verdict.replace("_", " ")
        if verdict not in ("ok", "not tried"):
            rows += ["log: " + row[:240] for row in text_rows(work / f"{step}.log")[-5:]]
        figures["steps"].append({"step": step, "verdict": verdict, "seconds": float(seconds), "figures": rows})
        print(f"{step:<15}{verdict:<10}{float(seconds):6.1f} s")
        for row in rows:
            print(f"    {row}")
    raw = {path.name: lines_of(path) for path in sorted(work.glob("*.jsonl"))}
    raw |= {path.name: whole(path) for path in sorted(work.glob("ct*.json"))}
    raw["live"] = whole(work / "live" / "figures.json")
    Path(out).write_text(json.dumps(figures | {"raw": raw}, indent=1))


if __name__ == "__main__":
    commands = {f.__name__: f for f in (device, watch, hold, provider, compare, ended, only_fp32, report)}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])
