// A server with runs such as people have, and the addresses of its pages.
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Server, until } from "./server.mjs";

const notebooks = resolve(dirname(fileURLToPath(import.meta.url)), "../../../examples/notebooks");

// files are the example notebooks and their data, by path.
const files = () => Object.fromEntries(readdirSync(notebooks, { recursive: true, withFileTypes: true })
  .filter((e) => e.isFile())
  .map((e) => join(e.parentPath || e.path, e.name))
  .map((path) => [path.slice(notebooks.length + 1), readFileSync(path)]));

/** Starts a server, runs the examples, and returns it with the pages that there are to see. */
export async function examples() {
  const server = await Server.start({ notebooks: files(), env: { NES_MAX_RUNNING: "2" } });
  const sales = [];
  for (const [region, year] of [["north", 2024], ["north", 2025], ["south", 2026], ["north", 2026]]) {
    sales.push(await server.execute("sales-report/report.ipynb", { region, year }, { labels: { team: "growth" }, group: "regions" }));
  }
  const failed = await server.execute("data-quality/check.ipynb", {}, { labels: { team: "growth" } });
  const live = await server.submit("training/train.ipynb", { seconds: 600 });
  await until(async () => (await server.api("/v1/runs/" + live.id)).progress?.done > 2, "the training");
  const last = sales.at(-1);
  return {
    server,
    pages: {
      list: { path: "/" },
      run: { path: "/runs/" + last.id },
      report: { path: "/runs/" + last.id + "?view=report" },
      failed: { path: "/runs/" + failed.id },
      notebook: { path: "/notebooks/" + last.source.repository + "/-/sales-report/report.ipynb" },
      group: { path: "/groups/regions" },
      notebooks: { path: "/notebooks" },
      search: { path: "/search?q=growth" },
      compare: { path: "/compare/" + sales[2].id + "/" + last.id },
      folder: { path: "/view/runs/" + last.created_at.slice(0, 10) + "/" + last.id + "/1/" },
      live: { path: "/runs/" + live.id, then: (page) => page.locator(".cell.running").waitFor() },
      new: { path: "/new?url=" + encodeURIComponent(server.repository.address("sales-report/report.ipynb")), full: true },
      again: { path: "/runs/" + last.id + "/again" },
      log: { path: "/runs/" + last.id + "/log" },
    },
  };
}
