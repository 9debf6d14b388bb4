import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { renderEventsPage } from "../../scripts/events-page.mjs";
import { EVENT_TYPES } from "../../src/events/index.ts";

const FOLDER = new URL("../../src/events/", import.meta.url);

describe("docs/events.md", () => {
  const sources = readdirSync(FOLDER)
    .filter((name) => name.endsWith(".ts"))
    .sort()
    .map((name) => readFileSync(new URL(name, FOLDER), "utf8"));

  it("is what `npm run docs` makes of the schemas as they are", () => {
    const page = readFileSync(new URL("../../docs/events.md", import.meta.url), "utf8");
    expect(page).toBe(renderEventsPage(EVENT_TYPES, sources));
  });

  it("describes every event type, its fields and what the comments say of them", () => {
    const page = renderEventsPage(EVENT_TYPES, sources);
    for (const type of Object.keys(EVENT_TYPES)) expect(page).toContain(`\n## ${type}\n`);
    expect(page).toContain("| `claim.clientPort` | integer 1–65535 or null | UDP port the request came from");
    expect(page).toContain("A further claim joins a mapping that exists.");
  });
});
