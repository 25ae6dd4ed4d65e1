#!/usr/bin/python3
"""dockerode, the client library of Node.js, drives vesseld: dockerode.js has the cases."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

if __name__ == "__main__":
    sys.exit(vessel.node_tests(os.path.join(os.path.dirname(os.path.abspath(__file__)), "dockerode.js")))
