import type { State } from "./state.ts";

/** What ways out and public addresses depend on. */
export type Topology = Pick<State, "settings" | "interfaces">;

/** For what is asked for at each state, and changes with the topology alone: built once for all states that share it. */
export function ofTopology<Value>(build: (topology: Topology) => Value): (topology: Topology) => Value {
  const built = new WeakMap<State["interfaces"], { readonly settings: State["settings"]; readonly value: Value }>();
  return ({ settings, interfaces }) => {
    const known = built.get(interfaces);
    if (known?.settings === settings) return known.value;
    const value = build({ settings, interfaces });
    built.set(interfaces, { settings, value });
    return value;
  };
}
