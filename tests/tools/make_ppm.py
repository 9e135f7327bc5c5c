#!/usr/bin/env python3
"""make_ppm.py IN OUT: decodes a picture to raw RGB (PPM P6), which a test reads without an image library."""

import sys

from PIL import Image

source, target = sys.argv[1:]
Image.open(source).convert("RGB").save(target, format="PPM")
