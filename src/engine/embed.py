#!/usr/bin/python3
"""Turn a file into a C source with one byte array: embed.py INPUT OUTPUT NAME, declared in engine/NAME.h."""

import sys

source, target, name = sys.argv[1:]
with open(source, "rb") as f:
    data = f.read()
with open(target, "w") as f:
    f.write('#include "engine/%s.h"\n\nconst size_t %s_len = %d;\nconst unsigned char %s[%d] = {\n'
            % (name, name, len(data), name, len(data)))
    for i in range(0, len(data), 16):
        f.write("\t" + "".join("%d," % byte for byte in data[i:i + 16]) + "\n")
    f.write("};\n")
