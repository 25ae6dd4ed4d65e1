#!/usr/bin/python3
"""testcontainers for Node.js drives vesseld: testcontainers.js has the cases.

Its reaper is an image of a registry, and is turned off; each case removes what it starts.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

if __name__ == "__main__":
    sys.exit(vessel.node_tests(os.path.join(os.path.dirname(os.path.abspath(__file__)), "testcontainers.js"),
                               {"TESTCONTAINERS_RYUK_DISABLED": "true", "TESTCONTAINERS_HOST_OVERRIDE": "127.0.0.1"}))
