#!/usr/bin/env python3
"""Compiles kernels with NVIDIA's NVRTC, without a card. Of Python only ctypes is needed.

  nvrtc.py ptx  LIBRARY SOURCE                    the program for the oldest card, as PTX, on standard output
  nvrtc.py sass LIBRARY SOURCE CAPABILITY...      compiles for each capability; prints registers and spills of each kernel
"""

import ctypes
import hashlib
import re
import sys

# Without contraction: the twins on the processor have none, and results are compared bit by bit.
OPTIONS = ["--fmad=false", "--ftz=false", "--prec-div=true", "--std=c++11", "--no-source-include"]
# Drivers compile this for their card. PTX of an old compiler for an old card is what every later driver takes.
OLDEST = "compute_75"


class Refused(Exception):
    """The compiler's own words."""


def compile_(library, source, options, what):
    """Returns what was asked for (`PTX` or `CUBIN`) and the log."""
    program = ctypes.c_void_p()

    def call(name, *arguments):
        code = getattr(library, "nvrtc" + name)(*arguments)
        if code != 0:
            raise Refused(f"nvrtc{name}: code {code}")

    def text(name):
        size = ctypes.c_size_t()
        call(f"Get{name}Size", program, ctypes.byref(size))
        data = ctypes.create_string_buffer(size.value)
        call(f"Get{name}", program, data)
        return data.raw[: size.value]

    call("CreateProgram", ctypes.byref(program), source, b"kernels.cu", 0, None, None)
    try:
        list_ = (ctypes.c_char_p * len(options))(*[o.encode() for o in options])
        code = library.nvrtcCompileProgram(program, len(options), list_)
        log = text("ProgramLog").rstrip(b"\0").decode(errors="replace").strip()
        if code != 0:
            raise Refused(log or f"code {code}")
        return text(what), log
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def kernels(source):
    return re.findall(r'extern "C" __global__ void (\w+)\(', source.decode())


def usage(log):
    """Registers, bytes of spills, bytes of stack of each kernel, from what ptxas says."""
    found = {}
    for part in re.split(r"Compiling entry function '", log)[1:]:
        name = part.split("'", 1)[0]
        registers = re.search(r"Used (\d+) registers", part)
        spills = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", part)
        if registers and spills:
            found[name] = (int(registers[1]), int(spills[2]) + int(spills[3]), int(spills[1]))
    return found


def main():
    mode, library, source, *capabilities = sys.argv[1:]
    library = ctypes.CDLL(library)
    with open(source, "rb") as file:
        source = file.read()
    if mode == "ptx":
        ptx, _ = compile_(library, source, [*OPTIONS, f"--gpu-architecture={OLDEST}"], "PTX")
        # By which `rules.sh` sees, without a compiler, that the source was changed.
        print(f"// Made by hil-tests/scripts/kernels_check.sh from kernels.cu, sha256 {hashlib.sha256(source).hexdigest()}")
        sys.stdout.write(ptx.rstrip(b"\0").decode())
        return 0
    failed = 0
    names = kernels(source)
    print(f"{'kernel':<12}" + "".join(f"{c:>9}" for c in capabilities) + "   registers; none spills or has a stack")
    rows = {name: [] for name in names}
    for capability in capabilities:
        try:
            options = [*OPTIONS, f"--gpu-architecture=sm_{capability}", "--ptxas-options=--verbose"]
            binary, log = compile_(library, source, options, "CUBIN")
        except Refused as why:
            print(f"NOT COMPILED for {capability}: {why}")
            failed = 1
            continue
        used = usage(log)
        for name in names:
            if name.encode() not in binary or name not in used:
                print(f"{name} for {capability}: not in the binary, or ptxas said nothing of it")
                print(log)
                failed = 1
                continue
            registers, spilled, stack = used[name]
            rows[name].append(f"{registers}")
            if spilled or stack:
                print(f"{name} for {capability} spills {spilled} bytes and has a stack of {stack}")
                failed = 1
    for name, cells in rows.items():
        print(f"{name:<12}" + "".join(f"{c:>9}" for c in cells))
    return failed


if __name__ == "__main__":
    sys.exit(main())
