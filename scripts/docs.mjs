// Writes what of docs/ follows from the sources anew: events.md, the manual page, the schemas of what commands print.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "./build.mjs";
import { renderEventsPage } from "./events-page.mjs";
import { renderManPage } from "./man-page.mjs";
import { ROOT, say } from "./steps.mjs";

if (!(await build())) process.exit(1);
/** @param {string} path */
const built = async (path) => await import(new URL(`../dist/${path}`, import.meta.url).href);
/** @param {string} path @param {string} text */
const write = (path, text) => writeFileSync(join(ROOT, path), text);

const { EVENT_TYPES } = await built("events/index.js");
const folder = join(ROOT, "src/events");
const sources = readdirSync(folder)
  .filter((name) => name.endsWith(".ts"))
  .sort()
  .map((name) => readFileSync(join(folder, name), "utf8"));
write("docs/events.md", renderEventsPage(EVENT_TYPES, sources));
say(`docs/events.md: ${Object.keys(EVENT_TYPES).length} event types`);

const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const { buildProgram } = await built("cli/program.js");
const { examplesOf } = await built("cli/program-parts.js");
const { EXIT, EXIT_MEANING } = await built("cli/exit.js");
// Nothing is run: the tree needs no daemon and no terminal.
const { program } = buildProgram({ version });
write("docs/portreeve.1", renderManPage(program, { version, examplesOf, exit: EXIT, meaning: EXIT_MEANING }));
say("docs/portreeve.1");

const { outputJsonSchema } = await built("daemon/output-schemas.js");
const schema = outputJsonSchema();
write("docs/cli-output.schema.json", `${JSON.stringify(schema, null, 2)}\n`);
say(`docs/cli-output.schema.json: ${Object.keys(schema.properties).length} commands`);
