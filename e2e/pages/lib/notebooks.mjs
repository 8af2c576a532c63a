// Notebooks for the tests, written as lists of cells.

const id = (n) => "cell-" + String(n).padStart(3, "0");

/** A code cell. */
export const code = (source, { tags = [], metadata = {} } = {}) => ({ type: "code", source, metadata: tags.length ? { ...metadata, tags } : metadata });
/** A Markdown cell. */
export const text = (source) => ({ type: "markdown", source, metadata: {} });
/** The parameters cell. */
export const parameters = (source) => code(source, { tags: ["parameters"] });

/** A notebook of Python cells, as JSON. */
export function notebook(cells, metadata = {}) {
  return JSON.stringify({
    nbformat: 4, nbformat_minor: 5,
    metadata: { kernelspec: { name: "python3", display_name: "Python 3", language: "python" }, language_info: { name: "python" }, ...metadata },
    cells: cells.map((c, i) => ({
      id: id(i), cell_type: c.type, metadata: c.metadata, source: c.source,
      ...(c.type === "code" ? { outputs: [], execution_count: null } : {}),
    })),
  }, null, 1);
}

// A notebook says "step n" when the file <gate>/n exists: tests decide when it goes on.
const gate = `import os, time
def wait(n):
    while gate and not os.path.exists(os.path.join(gate, str(n))):
        time.sleep(0.02)`;

/** The notebooks of the test repository, by path. */
export const standard = {
  "live.ipynb": notebook([
    text("# A live notebook"),
    parameters('gate: str = ""\nname: str = "world"'),
    code(gate),
    code('print("hello", name, flush=True)\nwait(1)\nprint("step one", flush=True)'),
    code('wait(2)\nprint("step two", flush=True)'),
    text("The end."),
  ]),
  "report.ipynb": notebook([
    text("# Sales report\n\nWhat was sold, and where."),
    parameters('region: str = "north"\nyear: int = 2026\nfail: bool = False'),
    code("import nes\nrows = {'north': 120, 'south': 80, 'east': 95}.get(region, 10)", { metadata: { jupyter: { source_hidden: true } } }),
    text("## Numbers"),
    code('print(f"{rows} rows of {region} in {year}")'),
    code('print("a secret of the kitchen")', { tags: ["remove-cell"] }),
    code('print("only the output counts")', { tags: ["hide-input"] }),
    text("## A table"),
    code("from IPython.display import HTML\nHTML('<table class=\"dataframe\"><thead><tr><th></th><th>rows</th></tr></thead><tbody><tr><th>' + region + '</th><td>' + str(rows) + '</td></tr></tbody></table>')"),
    text("## A picture"),
    code(`import struct, zlib
from IPython.display import Image
def png(width, height, colour):
    raw = b"".join(b"\\0" + bytes(colour) * width for _ in range(height))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
Image(png(240, 80, (40, 90, 200) if region == "north" else (200, 120, 40)))`),
    text("## The check"),
    code('assert not fail, "the numbers do not add up"\nprint("the numbers add up")'),
    code('nes.result({"rows": rows, "share": rows / 295})'),
  ]),
};
