#!/usr/bin/env python3
"""Draws strips of a scanner's screen, each with a patient's name, as a test of reading them.

    strips.py FOLDER        writes FOLDER/strips.json and one raw picture (grey, row by row) for each strip

Fonts are those of this machine (Debian: fonts-dejavu-core, fonts-liberation, fonts-freefont-ttf, fonts-wqy-zenhei, installed by
`make setup`). Names are made up. The same machine always draws the same strips.
"""
import itertools
import json
import pathlib
import random
import sys

import numpy
from PIL import Image, ImageDraw, ImageFilter, ImageFont

ROOT = pathlib.Path("/usr/share/fonts/truetype")
FONTS = {
    "DejaVu Sans": "dejavu/DejaVuSans.ttf",
    "DejaVu Sans Mono Bold": "dejavu/DejaVuSansMono-Bold.ttf",
    "Liberation Sans": "liberation/LiberationSans-Regular.ttf",
    "Liberation Serif": "liberation/LiberationSerif-Regular.ttf",
    "Liberation Sans Narrow Bold": "liberation/LiberationSansNarrow-Bold.ttf",
    "FreeMono Bold": "freefont/FreeMonoBold.ttf",
    "WenQuanYi Zen Hei": "wqy/wqy-zenhei.ttc",
}
CHINESE = "WenQuanYi Zen Hei"
SIZES = (11, 14, 18, 24)
# Standard deviation of the blur, pixels: sharp, as a scaler leaves it, as a bad cable does.
BLURS = (0.0, 0.6, 1.0)
# Ink and ground, grey levels.
CONTRASTS = ((255, 0), (200, 40), (130, 70), (20, 230))
NOISE = 4.0

FAMILIES = (
    "DOE MUELLER SCHMIDT HERNANDEZ O'BRIEN KOWALSKI WANG ZHANG LI LIU CHEN ILLIG COOPER QUINN BELL HILL GARCIA ROSSI NOVAK SILVA"
).split()
GIVEN = "JANE ANNA ANNE MARIA MARIE EVA XIAOMING MEI ROSA ISOLDE ELLI YVONNE OLGA JULIA JULIE LENA HELENA".split()
CHINESE_NAMES = [
    ("WANG^FANG=王^芳"), ("LI^NA=李^娜"), ("ZHANG^MIN=张^敏"), ("LIU^YANG=刘^洋"), ("CHEN^JING=陈^静"), ("ZHAO^LI=赵^丽"),
    ("ZHOU^XIAOMEI=周^小梅"), ("WU^YUN=吴^云"), ("XU^HUI=徐^慧"), ("SUN^YAN=孙^燕"),
]
FORMS = (
    lambda family, given, number: f"{family}, {given}",
    lambda family, given, number: f"{family} {given}",
    lambda family, given, number: f"{family.title()}, {given.title()}",
    lambda family, given, number: f"{given.title()} {family.title()}",
    lambda family, given, number: f"{family}^{given}",
    lambda family, given, number: f"Name: {family}, {given}   ID: {number}",
)


def draw(text, font, size, ink, ground, blur, noise):
    """Grey picture of one line of text with some room around it."""
    face = ImageFont.truetype(str(font), size)
    left, top, right, bottom = face.getbbox(text)
    picture = Image.new("L", (right + 24, bottom + 12), ground)
    ImageDraw.Draw(picture).text((10, 5), text, font=face, fill=ink)
    if blur:
        picture = picture.filter(ImageFilter.GaussianBlur(blur))
    grey = numpy.asarray(picture, numpy.float32) + noise.normal(0.0, NOISE, picture.size[::-1])
    return grey.round().clip(0, 255).astype(numpy.uint8)


def main(folder):
    missing = [name for name, path in FONTS.items() if not (ROOT / path).is_file()]
    if missing:
        sys.exit(f"strips.py: fonts are missing: {', '.join(missing)}")
    choice, noise = random.Random(20261129), numpy.random.default_rng(20261129)
    strips = []
    for name, size, blur, (ink, ground) in itertools.product(FONTS, SIZES, BLURS, CONTRASTS):
        number = f"{choice.randrange(10**7):07}"
        if name == CHINESE:
            patient = choice.choice(CHINESE_NAMES)
            ideographs = patient.split("=")[1].replace("^", "")
            text = choice.choice([ideographs, f"姓名:{ideographs}  编号:{number}"])
        else:
            family, given = choice.choice(FAMILIES), choice.choice(GIVEN)
            patient, text = f"{family}^{given}", choice.choice(FORMS)(family, given, number)
        grey = draw(text, ROOT / FONTS[name], size, ink, ground, blur, noise)
        file = f"{len(strips):03}.grey"
        (folder / file).write_bytes(grey.tobytes())
        strips.append(
            {
                "file": file, "width": grey.shape[1], "font": name, "size": size, "blur": blur, "contrast": abs(ink - ground),
                "patient": patient, "text": text,
            }
        )
    (folder / "strips.json").write_text(json.dumps(strips, ensure_ascii=False, indent=1), encoding="utf-8")
    print(f"{len(strips)} strips of {len(FONTS)} fonts")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    main(target)
