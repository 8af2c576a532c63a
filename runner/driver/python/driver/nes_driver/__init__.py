"""The driver of NES: executes one notebook and writes down what happens.

papermill prepares the notebook (parameters, translators, kernel selection); the driver talks
to the kernel itself and appends to run/journal.jsonl. Nobody saves a notebook here: NES
makes it from the journal.
"""

VERSION = "1"
