// Writes docs/events.md anew.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "./build.mjs";
import { renderEventsPage } from "./events-page.mjs";
import { ROOT, say } from "./steps.mjs";

if (!existsSync(join(ROOT, "dist/events/index.js")) && !build()) process.exit(1);
const { EVENT_TYPES } = await import(new URL("../dist/events/index.js", import.meta.url).href);
const folder = join(ROOT, "src/events");
const sources = readdirSync(folder)
  .filter((name) => name.endsWith(".ts"))
  .sort()
  .map((name) => readFileSync(join(folder, name), "utf8"));
writeFileSync(join(ROOT, "docs/events.md"), renderEventsPage(EVENT_TYPES, sources));
say(`docs/events.md: ${Object.keys(EVENT_TYPES).length} event types`);
