import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const LINES_MAX = 400;
const LINES_MEDIAN_MAX = 120;
const FORBIDDEN_NAME = /^(utils?|helpers?|manager|service|handlers?|common|misc)\b/;
/** Who may import whom, by the first folder (or file) under src; "type" is for types only. */
const LAYERS: Readonly<Record<string, Readonly<Record<string, "value" | "type">>>> = {
  lib: {},
  protocols: { lib: "value" },
  events: { lib: "value" },
  reducers: { events: "value", lib: "value" },
  reconcilers: { events: "type", reducers: "type", "reducers/select": "value", lib: "value" },
  adapters: {
    lib: "value",
    protocols: "value",
    events: "value",
    reducers: "type",
    reconcilers: "type",
    "controller/port.ts": "type",
  },
  api: {
    lib: "value",
    events: "value",
    reducers: "value",
    reconcilers: "type",
    "controller/port.ts": "type",
  },
  config: { events: "value", lib: "value" },
  cli: { api: "type", config: "value", events: "type", lib: "value" },
  controller: { events: "value", lib: "value", reducers: "value" },
};
/**
 * Within the pure core: whom the files of a folder may import beside their own; "." are the files directly in it, what can
 * be asked of a state and how events change it. What is decided and what rows are made of it know nothing of each other.
 */
const CORE: Readonly<Record<string, readonly string[]>> = {
  ".": ["objects"],
  select: ["."],
  decide: [".", "objects"],
  objects: [".", "decide"],
  doctor: [".", "select"],
};
/** They put the parts together, so they may know everyone. */
const COMPOSITION = new Set(["main.ts", "daemon"]);
/** Started by name, or read by `npm run docs`; and what the ports offer to tests beside the real thing. */
const UNIMPORTED = new Set([
  "src/main.ts",
  "src/daemon/log-check-worker.ts",
  "src/daemon/output-schemas.ts",
  "src/lib/manual-clock.ts",
  "src/events/log-memory.ts",
  "src/protocols/nftables-json/fake.ts",
]);

interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
}

interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

const sources = read("src", [".ts"]);
const everything = [
  ...sources,
  ...read("test", [".ts", ".mjs", ".py"]),
  ...read("bench", [".ts", ".mjs", ".py"]),
  ...read("scripts", [".mjs"]),
];

describe("the source tree", () => {
  it("was read: a check that looks at nothing is green for ever", () => {
    expect(sources.length).toBeGreaterThan(60);
    expect(everything.length).toBeGreaterThan(sources.length + 20);
    expect(sources.flatMap(({ imports }) => imports).length).toBeGreaterThan(200);
  });

  it("imports only along the layers", () => {
    const wrong = sources.flatMap((file) => file.imports.flatMap((each) => layerFault(file, each)));
    expect(wrong).toEqual([]);
  });

  it("imports within the core what each of its parts may", () => {
    const core = sources.filter(({ path }) => path.startsWith("src/reducers/"));
    const between = core.flatMap((file) =>
      file.imports.flatMap(({ specifier }) => {
        const to = specifier.startsWith(".") ? target(file.path, specifier) : specifier;
        const [from, into] = [corePart(file.path), corePart(to)];
        return from === null || into === null || from === into ? [] : [{ from, into, text: `${file.path} → ${to}` }];
      }),
    );
    expect(between.filter(({ from, into }) => !CORE[from]?.includes(into)).map(({ text }) => text)).toEqual([]);
    expect([...new Set(between.map(({ from }) => from))].sort()).toEqual(Object.keys(CORE).sort());
    expect(between.length).toBeGreaterThan(200);
  });

  it("keeps node, time and chance out of the pure core", () => {
    const core = sources.filter(({ path }) => /^src\/(reducers|protocols)\//.test(path));
    const impure =
      /\bfrom "(node:|rxjs|level|koffi|pino|fastify)|\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bprocess\.|\bset(Timeout|Interval|Immediate)\(/;
    expect(core.filter(({ text }) => impure.test(code(text))).map(({ path }) => path)).toEqual([]);
    expect(core.length).toBeGreaterThan(20);
  });

  it(`has no file over ${LINES_MAX} lines and a median of at most ${LINES_MEDIAN_MAX}`, () => {
    const sizes = sources.map(({ path, text }) => ({ path, lines: text.split("\n").length })).sort(bySize);
    expect(sizes.filter(({ lines }) => lines > LINES_MAX)).toEqual([]);
    expect(sizes[Math.floor(sizes.length / 2)]?.lines).toBeLessThanOrEqual(LINES_MEDIAN_MAX);
  });

  it("names files after what they are, in kebab-case", () => {
    const names = everything.map(({ path }) => path);
    expect(names.filter((path) => FORBIDDEN_NAME.test(basename(path)))).toEqual([]);
    expect(names.filter((path) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)+$/.test(basename(path)))).toEqual([]);
  });

  it("has no file that nothing imports", () => {
    const imported = new Set(sources.flatMap((file) => file.imports.map((each) => target(file.path, each.specifier))));
    const startedByUrl = new Set(
      sources.flatMap(({ path, text }) =>
        [...text.matchAll(/new URL\("(\.[^"]+)", import\.meta\.url\)/g)].map((match) => target(path, match[1] ?? "")),
      ),
    );
    const dead = sources.map(({ path }) => path).filter((path) => !(imported.has(path) || startedByUrl.has(path)));
    expect(dead.filter((path) => !UNIMPORTED.has(path))).toEqual([]);
  });

  it("leaves no marker of unfinished work and no focused or disabled test behind", () => {
    // Spelled with a hyphen, so that this file does not find itself.
    const marker = new RegExp(["TO-DO", "FIX-ME", "XX-X"].map((word) => `\\b${word.replace("-", "")}\\b`).join("|"));
    const disabled = /\b(it|test|describe)\.(only|skip|todo)\b/;
    expect(everything.filter(({ text }) => marker.test(text)).map(({ path }) => path)).toEqual([]);
    expect(everything.filter(({ text }) => disabled.test(code(text))).map(({ path }) => path)).toEqual([]);
  });

  it("names no path of anyone's machine", () => {
    const machine = /["'`\s(](\/home\/[a-z]|\/Users\/|\/root\/|\/work\/)/;
    expect(everything.filter(({ text }) => machine.test(text)).map(({ path }) => path)).toEqual([]);
  });
});

function read(folder: string, endings: readonly string[]): SourceFile[] {
  const start = join(ROOT, folder);
  if (!existsSync(start)) return [];
  return readdirSync(start, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => {
      const full = join(entry.parentPath, entry.name);
      const text = readFileSync(full, "utf8");
      return { path: relative(ROOT, full), text, imports: importsOf(text) };
    });
}

function importsOf(text: string): Import[] {
  const statements = [...text.matchAll(/^(?:import|export)\s+(type\s)?([^;"]*?\sfrom\s+)?"([^"]+)"/gm)];
  const dynamic = [...text.matchAll(/\bimport\(\s*"([^"]+)"/g)];
  return [
    ...statements.map(([, type, names, specifier = ""]) => ({
      specifier,
      typeOnly: type !== undefined || onlyTypesInside(names ?? ""),
    })),
    ...dynamic.map(([, specifier = ""]) => ({ specifier, typeOnly: false })),
  ];
}

/** `import { type A, type B } from …` */
function onlyTypesInside(clause: string): boolean {
  const names = /\{([^}]*)\}/
    .exec(clause)?.[1]
    ?.split(",")
    .map((name) => name.trim());
  const wanted = names?.filter((name) => name !== "") ?? [];
  return wanted.length > 0 && wanted.every((name) => name.startsWith("type ")) && !/^\s*\w+\s*,/.test(clause);
}

function target(from: string, specifier: string): string {
  const path = relative(ROOT, resolve(ROOT, dirname(from), specifier));
  return path.replace(/\.js$/, ".ts");
}

/** The folder of the core that a file is in. */
function corePart(path: string): string | null {
  const [src, reducers, first = "", ...rest] = path.split("/");
  if (src !== "src" || reducers !== "reducers") return null;
  return rest.length === 0 ? "." : first;
}

function layerFault(file: SourceFile, { specifier, typeOnly }: Import): string[] {
  if (!specifier.startsWith(".")) return [];
  const to = target(file.path, specifier).replace(/^src\//, "");
  const [from = ""] = file.path.replace(/^src\//, "").split("/");
  const [first = "", second = ""] = to.split("/");
  const fault = [`${file.path} → ${to}`];
  if (to === "main.ts" || (first === "daemon" && !COMPOSITION.has(from))) return fault;
  const allowed = LAYERS[from];
  if (allowed === undefined) return COMPOSITION.has(from) ? [] : fault;
  if (first === from) {
    const sameAdapter = file.path.split("/")[2] === second;
    return from === "adapters" && !sameAdapter ? fault : [];
  }
  const permission = allowed[`${first}/${second}`] ?? allowed[first];
  return permission === "value" || (permission === "type" && typeOnly) ? [] : fault;
}

/** Without comments: those may speak of what the code may not do. */
function code(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
}

function bySize(a: { lines: number }, b: { lines: number }): number {
  return a.lines - b.lines;
}
