// The program as it runs: a few files, its libraries' code among them. Loading some 1,400 files one by one took half of
// a start's processor time and 30 MB that stayed (docs/decisions/0015).
import { join, relative } from "node:path";
import { rolldown } from "rolldown";
import { ROOT } from "./steps.mjs";

const SOURCES = join(ROOT, "src");

/** Where the process begins, and each of its threads: they are found by the place that their source has. */
const ENTRIES = ["main", "adapters/dns-server/thread/worker", "adapters/nftables/worker", "daemon/log-check-worker"];

/** They look for files beside their own: prebuilt binaries, a thread's code. */
const LEFT_ALONE = ["koffi", "level", "pino"];

/** `import.meta.url` stays the place of the source that says it, whichever file its code ends up in. */
const places = {
  name: "places",
  transform: {
    filter: { id: /\.ts$/, code: "import.meta.url" },
    handler(/** @type {string} */ code, /** @type {string} */ id) {
      const place = relative(SOURCES, id).replace(/\.ts$/, ".js");
      // No line moves, so the map of the source still fits.
      return {
        code: code.replaceAll("import.meta.url", `new URL(${JSON.stringify(place)}, import.meta.url)`),
        map: null,
      };
    },
  },
};

/** @param {string} folder what is written, the process's own file and all that is shared at its top */
export async function bundle(folder) {
  const built = await rolldown({
    input: Object.fromEntries(ENTRIES.map((entry) => [entry, join(SOURCES, `${entry}.ts`)])),
    platform: "node",
    external: LEFT_ALONE,
    plugins: [places],
  });
  const { output } = await built.write({ dir: folder, entryFileNames: "[name].js", sourcemap: true });
  await built.close();
  const misplaced = output.find(
    (file) => file.type === "chunk" && file.fileName.includes("/") && file.code.includes("import.meta.url"),
  );
  if (misplaced !== undefined) throw new Error(`${misplaced.fileName} is not at the top, so places in it are wrong`);
}
