#!/usr/bin/python3
"""Turn a file into a C header with one byte array: embed.py INPUT OUTPUT NAME."""

import sys

with open(sys.argv[1], "rb") as f:
    data = f.read()
with open(sys.argv[2], "w") as f:
    f.write("#pragma once\n\nstatic const unsigned char %s_data[%d] = {\n" % (sys.argv[3], len(data)))
    for i in range(0, len(data), 16):
        f.write("\t" + "".join("%d," % byte for byte in data[i:i + 16]) + "\n")
    f.write("};\n")
