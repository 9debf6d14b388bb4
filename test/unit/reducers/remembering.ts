import { tableEntries, tableGet } from "../../../src/lib/table.ts";
import type { Command, Decision } from "../../../src/reducers/decide/command.ts";
import type { Change } from "../../../src/reducers/decide/undo.ts";
import { selectForwards } from "../../../src/reducers/select/forward-rows.ts";
import type { State } from "../../../src/reducers/state.ts";
import { Gateway, mapRequest } from "./given.ts";

export const OPERATOR = "api:socket";

/** A gateway that remembers what each request did, as the log does. */
export class Remembering extends Gateway {
  readonly #changes: { readonly before: State; readonly from: number; readonly to: number }[] = [];

  override do(command: Command, source = OPERATOR, entropy = 7): Decision {
    const [before, from] = [this.state, this.records.length];
    const decision = super.do(command, source, entropy);
    if (this.records.length > from) this.#changes.push({ before, from, to: this.records.length });
    return decision;
  }

  get changes(): number {
    return this.#changes.length;
  }

  /** The n-th change from the end. */
  change(back = 1): Change {
    const found = this.#changes.at(-back);
    if (found === undefined) throw new Error(`there were no ${back} changes`);
    const { before, from, to } = found;
    return { records: this.records.slice(from, to), before, later: this.records.slice(to) };
  }

  revert(change: Change, source = OPERATOR): Decision {
    return this.do({ type: "change.revert", change }, source);
  }

  mapping(port: number) {
    const [, id] = [...tableEntries(this.state.byExternal)].find(([key]) => key.endsWith(`|${port}`)) ?? [];
    return id === undefined ? undefined : tableGet(this.state.mappings, id);
  }

  byDevice(fields: Parameters<typeof mapRequest>[0] = {}): Decision {
    const request = mapRequest(fields);
    return this.do(request, `${request.by}:${request.device}`);
  }

  idAt(port: number): string {
    const mapping = this.mapping(port);
    if (mapping === undefined) throw new Error(`nothing is at ${port}`);
    return mapping.id;
  }
}

export const messageOf = (decision: Decision): string => (decision.ok ? "accepted" : decision.refusal.message);

/** What packets meet, without when it was decided. */
export function rowsOf(state: State): string[] {
  const rows = [...selectForwards("00000000000000aa")(state).rows()];
  return rows
    .filter(({ key }) => !key.startsWith("severed|"))
    .map(({ key, spec, owners }) => JSON.stringify([key, spec, owners]))
    .sort();
}
