#!/usr/bin/env python3
"""Makes scanside-sans.otf: Noto Sans CJK SC cut down to Latin and GB 2312, for the report document.

Needs fonttools and Debian's package fonts-noto-cjk (NotoSansCJK-Regular.ttc, SIL Open Font License 1.1, see LICENSE).
Usage: make.py NotoSansCJK-Regular.ttc scanside-sans.otf
"""
import sys

from fontTools import subset
from fontTools.ttLib import TTCollection


def characters():
    wanted = set(range(0x20, 0x7F)) | set(range(0xA0, 0x180))
    wanted |= {0x2013, 0x2014, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2026, 0x2264, 0x2265, 0xFFFD}
    for high in range(0xA1, 0xF8):
        for low in range(0xA1, 0xFF):
            try:
                wanted.add(ord(bytes([high, low]).decode("gb2312")))
            except UnicodeDecodeError:
                pass
    return wanted


def main(source, target):
    faces = TTCollection(source).fonts
    face = next(f for f in faces if f["name"].getDebugName(4) == "Noto Sans CJK SC")
    options = subset.Options()
    options.hinting = False
    options.layout_features = []
    options.name_IDs = [0, 1, 2, 4, 5, 6, 13, 14]
    options.drop_tables += ["BASE", "GPOS", "GSUB", "GDEF", "VORG", "vhea", "vmtx", "DSIG"]
    options.notdef_outline = True
    options.desubroutinize = False
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=characters())
    subsetter.subset(face)
    face.flavor = None
    face.recalcTimestamp = False
    face.save(target)


if __name__ == "__main__":
    main(*sys.argv[1:3])
