"""Start of the driver: python <this directory> <run directory>.

Readable by any Python, so that one that is too old can say so.
"""
import os
import sys


def too_old(run):
    """Write the exit line for an interpreter that cannot run the driver."""
    import json
    import time
    message = "%s is Python %d.%d; notebooks need Python 3.9 or newer" % ((sys.executable,) + tuple(sys.version_info[:2]))
    line = {"v": 1, "seq": 1, "t": time.time(), "k": "exit", "code": 1, "reason": "EngineMissing", "message": message}
    with open(os.path.join(run, "journal.jsonl"), "a") as journal:
        journal.write(json.dumps(line) + "\n")
    return 1


if __name__ == "__main__":
    if sys.version_info < (3, 9):
        sys.exit(too_old(sys.argv[1]))
    keep = sys.dont_write_bytecode
    sys.dont_write_bytecode = False  # our own byte code belongs beside our files, whatever the environment says
    from nes_driver.main import main
    sys.dont_write_bytecode = keep
    main(*sys.argv[1:])
