"""Executes notebooks with papermill, as the reference that the reducer is compared with.

Reads one JSON object a line, {"in": path, "out": path, "cwd": path, "kernel": name}, and answers each with a line: what papermill
raised, or "".
"""
import json
import logging
import os
import sys
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

import papermill  # noqa: E402


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what notebooks' children print is no answer
    for line in sys.stdin:
        job = json.loads(line)
        said = ""
        try:
            papermill.execute_notebook(
                job["in"], job["out"], kernel_name=job["kernel"] or None, cwd=job["cwd"], progress_bar=False,
                parameters=job.get("parameters"), autosave_cell_every=0, execution_timeout=60)
        except BaseException as e:
            said = "%s: %s" % (type(e).__name__, e)
        answers.write(json.dumps(said) + "\n")
        answers.flush()


main()
