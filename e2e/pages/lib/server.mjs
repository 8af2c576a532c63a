// A real nes serve, with a real Git repository and real runs.
import { execFileSync, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { standard } from "./notebooks.mjs";

const top = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
const nes = process.env.NES_BIN || join(top, "bin", "nes");
const python = process.env.NES_PYTHON || join(top, ".venv", "bin", "python");

/** Why there can be no server on this machine; undefined where there can. */
export function missing() {
  if (!existsSync(nes)) return "there is no " + nes + ": run make build";
  if (!existsSync(python)) return "there is no notebook runtime: run make runtime, or set NES_PYTHON";
}

/** Waits until look gives something true, and returns that. */
export async function until(look, what, patience = 60_000) {
  for (const end = Date.now() + patience; ;) {
    const got = await look();
    if (got) return got;
    if (Date.now() > end) throw new Error("waited in vain for " + (what || look));
    await new Promise((done) => setTimeout(done, 20));
  }
}

/** A Git repository with the notebooks; change them with write and commit. */
export class Repository {
  constructor(dir, notebooks) {
    this.dir = dir;
    mkdirSync(dir, { recursive: true });
    this.git("init", "-q", "-b", "main");
    this.write(notebooks);
  }
  git(...args) {
    return execFileSync("git", ["-C", this.dir, "-c", "user.name=Ada", "-c", "user.email=ada@example.com", ...args], { encoding: "utf8" }).trim();
  }
  write(files) {
    for (const [name, body] of Object.entries(files)) {
      mkdirSync(dirname(join(this.dir, name)), { recursive: true });
      writeFileSync(join(this.dir, name), body);
    }
    this.git("add", "-A");
    this.git("commit", "-q", "-m", "Notebooks");
  }
  address(path) { return "file://" + this.dir + "@main#" + path; }
}

/** One nes serve over a directory of its own. */
export class Server {
  /** Options: prefix such as "/nes", token to sign in with, env, config (YAML text), notebooks by path. */
  static async start(options = {}) {
    const s = new Server();
    Object.assign(s, options);
    s.dir = mkdtempSync(join(tmpdir(), "nes-pages-"));
    s.repository = new Repository(join(s.dir, "git", "reports"), options.notebooks || standard);
    let config = options.config || "";
    if (s.token) config += "tokens:\n  - {name: ada, team: risk, token: " + s.token + ", roles: [operate]}\n";
    writeFileSync(join(s.dir, "nes.yaml"), config);
    await s.launch();
    return s;
  }

  async launch() {
    const log = openSync(join(this.dir, "server.log"), "a");
    this.process = spawn(nes, ["serve"], {
      stdio: ["ignore", log, log],
      env: {
        ...process.env, NES_ADDR: "127.0.0.1:0", NES_DATA_DIR: join(this.dir, "data"), NES_PYTHON: python, NES_SERVER: "", NES_TOKEN: "",
        NES_CONFIG: join(this.dir, "nes.yaml"), NES_FETCH_ROOTS: join(this.dir, "git"), NES_URL_PREFIX: this.prefix || "", NES_MAX_RUNNING: "4", ...this.env,
      },
    });
    closeSync(log);
    this.ended = new Promise((done) => this.process.once("exit", done));
    const file = join(this.dir, "data", "server.json");
    await until(() => {
      if (this.process.exitCode !== null) throw new Error("the server ended:\n" + this.log());
      if (!existsSync(file)) return false;
      const { url, pid } = JSON.parse(readFileSync(file, "utf8"));
      this.url = url;
      return pid === this.process.pid;
    }, "the server");
  }

  log() { return readFileSync(join(this.dir, "server.log"), "utf8"); }

  /** Calls the API and returns what it answers. */
  async api(path, body) {
    const headers = { Accept: "application/json" };
    if (this.token) headers.Authorization = "Bearer " + this.token;
    if (body) headers["Content-Type"] = "application/json";
    const answer = await fetch(this.url + path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(path + ": " + answer.status + " " + text);
    return JSON.parse(text);
  }

  /** Submits a run of a notebook of the repository. */
  submit(path, parameters = {}, more = {}) {
    return this.api("/v1/runs", { input_url: this.repository.address(path), parameters, ...more });
  }
  /** Returns a run once it has ended. */
  async wait(run) {
    for (;;) {
      const now = await this.api("/v1/runs/" + run.id + "?wait=20s");
      if (["Succeeded", "Failed", "Error"].includes(now.status)) return now;
    }
  }
  /** Submits a run and waits for its end. */
  async execute(path, parameters, more) { return this.wait(await this.submit(path, parameters, more)); }

  /** A directory whose files let live.ipynb go on: open(1) is the first. */
  gate() {
    const dir = mkdtempSync(join(this.dir, "gate-"));
    return { dir, open: (n) => writeFileSync(join(dir, String(n)), "") };
  }

  async stop() {
    const { runs } = await this.api("/v1/runs?limit=200").catch(() => ({ runs: [] }));
    for (const run of runs) {
      if (["Pending", "Running"].includes(run.status)) {
        await this.api("/v1/runs/" + run.id + "/cancel", {}).catch(() => {});
        await this.wait(run).catch(() => {});
      }
    }
    this.process.kill("SIGTERM");
    await this.ended;
    rmSync(this.dir, { recursive: true, force: true });
  }
}
