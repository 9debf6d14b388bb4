import { describe, expect, it } from "vitest";
import { stateDiffDocument } from "../../../src/api/views/state-diff.ts";
import type { StateDiff } from "../../../src/api/schemas/history.ts";
import { stateToJson } from "../../../src/reducers/state-json.ts";
import { initialState, type State } from "../../../src/reducers/state.ts";
import { Gateway } from "../reducers/given.ts";

async function piecesOf(before: State, after: State): Promise<string[]> {
  const pieces: string[] = [];
  for await (const piece of stateDiffDocument(before, after)) pieces.push(piece);
  return pieces;
}

const diffOf = async (before: State, after: State): Promise<StateDiff> =>
  JSON.parse((await piecesOf(before, after)).join("")) as StateDiff;

/** The state as the changes leave it: who knows the old one and the diff knows the new one. */
function apply(before: State, { changes }: StateDiff): unknown {
  const json = compared(before);
  for (const { op, path, after } of changes) {
    const names = path.split("/").slice(1);
    const last = unescaped(names.pop() ?? "");
    let parent = json as Record<string, unknown>;
    for (const name of names) parent = parent[unescaped(name)] as Record<string, unknown>;
    if (op === "remove") delete parent[last];
    else parent[last] = after;
  }
  return json;
}

const unescaped = (name: string): string => name.replaceAll("~1", "/").replaceAll("~0", "~");

/** Without the indexes, which repeat what the tables say. */
function compared(state: State): unknown {
  const { byExternal: _external, byInternal: _internal, ...rest } = JSON.parse(JSON.stringify(stateToJson(state)));
  return rest;
}

describe("stateDiffDocument", () => {
  it("[E7] leads from one state to the other, both ways, and says nothing of what is the same", async () => {
    const gateway = new Gateway();
    for (let port = 1; port <= 12; port += 1) gateway.map({ internalPort: port });
    const before = gateway.state;
    expect((await diffOf(before, before)).changes).toEqual([]);
    for (let port = 11; port <= 16; port += 1) gateway.map({ internalPort: port, lifetime: 600 + port });
    const after = gateway.state;
    for (const [from, to] of [
      [before, after],
      [after, before],
      [initialState(), after],
      [after, initialState()],
    ] as const) {
      const diff = await diffOf(from, to);
      expect([diff.from, diff.to]).toEqual([from.seq, to.seq]);
      expect(diff.changes.length).toBeGreaterThan(0);
      expect(apply(from, diff)).toEqual(compared(to));
      for (const { before: old, after: now } of diff.changes) expect(now).not.toEqual(old);
    }
    const ports = (await diffOf(before, after)).changes.map(({ path }) => path);
    const added = ports.filter((path) => /^\/mappings\/[^/]+$/.test(path));
    expect(added).toEqual([...added].sort());
  });

  it("comes in pieces, however many rows differ", async () => {
    const gateway = new Gateway({
      perDevice: { mappings: 1000, ports: 2048, requestsPerSecond: 50, eventsPerMinute: 20, eventBurst: 2000 },
    });
    for (let port = 1; port <= 600; port += 1) gateway.map({ internalPort: port });
    const pieces = await piecesOf(initialState(), gateway.state);
    const whole = pieces.join("");
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(whole.length / 2);
    expect(apply(initialState(), JSON.parse(whole) as StateDiff)).toEqual(compared(gateway.state));
  }, 60_000);
});
