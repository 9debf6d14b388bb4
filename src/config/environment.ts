import { parse } from "yaml";
import { z } from "zod";
import { nearestWord } from "../lib/suggestion.ts";
import { configSchema } from "./schema.ts";
import { keysAt, schemaAt } from "./schema-walk.ts";

/**
 * `PORTREEVE_SECTION__KEY=value` overrides the file. Two underscores go one level down, one separates the words of a
 * camelCase key: PORTREEVE_PORT_CONTROL__LIFETIME__PCP_MIN is portControl.lifetime.pcpMin. The value is YAML (`null`,
 * `[eth0, eth1]`, `{interface: lan0}`); where a list is wanted, commas alone do.
 */
const PREFIX = "PORTREEVE_";

/** Read by other parts of the program, not overrides. */
const NOT_OVERRIDES = new Set(["SOCKET", "CONFIG", "REQUIRE_LAB"]);

export interface Override {
  readonly variable: string;
  readonly path: readonly string[];
  readonly value: unknown;
}

export interface OverrideFault {
  readonly variable: string;
  readonly message: string;
  readonly suggestion: string | null;
}

const shouted = (key: string): string => key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();

export function readOverrides(env: Readonly<Record<string, string | undefined>>): {
  overrides: Override[];
  faults: OverrideFault[];
} {
  const overrides: Override[] = [];
  const faults: OverrideFault[] = [];
  for (const variable of Object.keys(env).sort()) {
    const text = env[variable];
    const name = variable.slice(PREFIX.length);
    if (!variable.startsWith(PREFIX) || text === undefined || NOT_OVERRIDES.has(name)) continue;
    const found = pathOf(name);
    if ("path" in found) {
      const value = valueOf(text, found.path);
      if (value.ok) overrides.push({ variable, path: found.path, value: value.value });
      else faults.push({ variable, message: "does not hold a YAML value", suggestion: null });
    } else if (name.includes("__") || found.suggestion !== null) {
      // Other programs' variables may share our prefix; one that looks like an override and is none is a mistake.
      faults.push({ variable, message: "names no key of the configuration", suggestion: found.suggestion });
    }
  }
  return { overrides, faults };
}

function pathOf(name: string): { readonly path: string[] } | { readonly suggestion: string | null } {
  const path: string[] = [];
  const words = name.split("__");
  for (const [depth, word] of words.entries()) {
    const keys = keysAt(configSchema, path);
    const key = keys.find((candidate) => shouted(candidate) === word);
    if (key === undefined) {
      const near = nearestWord(word, keys.map(shouted));
      if (near === null) return { suggestion: null };
      return { suggestion: PREFIX + [...words.slice(0, depth), near, ...words.slice(depth + 1)].join("__") };
    }
    path.push(key);
  }
  return { path };
}

function valueOf(text: string, path: readonly string[]): { ok: true; value: unknown } | { ok: false } {
  const yaml = (part: string): unknown => parse(part, { logLevel: "error" });
  try {
    const value = yaml(text);
    const listWanted = schemaAt(configSchema, path) instanceof z.ZodArray;
    if (!listWanted || Array.isArray(value)) return { ok: true, value };
    const items = text.split(",").map((item) => yaml(item.trim()));
    return { ok: true, value: text.trim() === "" ? [] : items };
  } catch {
    return { ok: false };
  }
}

/** A copy of `config` with the overrides put in; sections that are missing are made. */
export function withOverrides(config: unknown, overrides: readonly Override[]): unknown {
  const result: unknown = structuredClone(config ?? {});
  for (const { path, value } of overrides) {
    let section = result as Record<string, unknown>;
    for (const key of path.slice(0, -1)) {
      const inner = section[key];
      if (typeof inner !== "object" || inner === null) section[key] = {};
      section = section[key] as Record<string, unknown>;
    }
    section[path.at(-1) as string] = value;
  }
  return result;
}
