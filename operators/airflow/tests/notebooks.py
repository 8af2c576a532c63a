"""The notebooks that the tests run."""

from __future__ import annotations

from world import Repository, notebook

REPORT = notebook(
    "import nes, time\nprint('보고', day)\nfor i in range(3):\n    print('step', i, flush=True)\n    time.sleep(0.2)",
    "nes.result({'day': day, 'rows': rows * 2, '지역': 지역})",
    parameters="day = '2026-01-01'\nrows = 1\n지역 = '서울'",
)
BROKEN = notebook("print('about to fail')", "raise KeyError('매출')", parameters="x = 1")
MENDED = notebook("import nes; nes.result('mended')", parameters="x = 1")
SKIPS = notebook("import nes; nes.skip('no new rows')")
NOT_READY = notebook("import nes; nes.not_ready('the table is not there')")
# A notebook that waits for a file knows when it is to go on, whatever the machine's speed.
SLOW = notebook(
    "import os, time\nprint('begins', flush=True)\nend = time.time() + float(seconds)\n"
    "while time.time() < end and not (until and os.path.exists(until)):\n    time.sleep(0.1)",
    "import nes; nes.result({'seconds': seconds, 'name': name})",
    parameters="seconds = 60.0\nuntil = ''\nname = ''",
)

ALL = {"report": REPORT, "broken": BROKEN, "skips": SKIPS, "not_ready": NOT_READY, "slow": SLOW}


def push_all(repository: Repository) -> str:
    """Push them all and return the address of their folder."""
    for name, text in ALL.items():
        repository.push(f"{name}.ipynb", text)
    return f"{repository.url}/blob/main"
