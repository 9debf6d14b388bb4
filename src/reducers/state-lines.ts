import { emptyTable, type Table, tableSet } from "../lib/table.ts";
import { TABLES } from "./fork.ts";
import { stateFromJson, stateText } from "./state-json.ts";
import type { State } from "./state.ts";

/** The text of a state as it is saved: one JSON document whose lines hold so many rows each that none takes long to read. */
export function* stateLines(state: State): Generator<string> {
  for (const piece of stateText(state)) if (piece !== "") yield `${piece}\n`;
}

const TABLE = /^,"(\w+)":\{$/;

/**
 * The inverse, for lines that this fold wrote, without their ends. Nobody is held up by it however many rows there are,
 * as long as the lines come one at a time. The result is mutable.
 */
export async function stateFromLines(lines: AsyncIterable<string>): Promise<State> {
  let state: Record<string, unknown> | null = null;
  let table: Table<unknown> = emptyTable();
  for await (const line of lines) {
    if (state === null) {
      // Of a version before this form it is the whole text.
      const whole = parsed(line);
      if (whole !== undefined) return stateFromJson(whole);
      state = JSON.parse(`${line}}`) as Record<string, unknown>;
      for (const name of TABLES) state[name] = emptyTable();
      continue;
    }
    const name = TABLE.exec(line)?.[1];
    if (name !== undefined) table = state[name] as Table<unknown>;
    else if (line !== "}" && line !== "") addRows(table, line);
  }
  if (state === null) throw new SyntaxError("there is no state");
  return state as unknown as State;
}

/** Without the last brace, as the first line of several is, it is no JSON. */
function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function addRows(table: Table<unknown>, line: string): void {
  const rows = JSON.parse(`{${line.startsWith(",") ? line.slice(1) : line}}`) as Record<string, unknown>;
  for (const [key, row] of Object.entries(rows)) tableSet(table, key, row);
}
