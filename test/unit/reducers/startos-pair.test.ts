import { describe, expect, it } from "vitest";
import { selectForwards } from "../../../src/reducers/select/forward-rows.ts";
import { selectSni } from "../../../src/reducers/select/sni-rows.ts";
import type { State } from "../../../src/reducers/state.ts";
import { DEVICE, eventsOf, Gateway, mapped, WAN_ADDRESS } from "./given.ts";

/**
 * What a StartOS host that is public on 443 asks for, each with a nonce of its own: 80→443, 443→443 for each of its names,
 * and where it has no name 443→443 as a whole.
 */
const NAMES = ["a.example.org", "b.example.org", "c.example.org"];
const PAIR = ["80", ...NAMES];

const requestOf = (item: string) => ({
  internalPort: 443,
  nonce: Buffer.from(item.padEnd(12).slice(0, 12)).toString("hex"),
  suggestedPort: item === "80" ? 80 : 443,
  ...(NAMES.includes(item) && { names: [item] }),
});

const INSTANCE = "0123456789abcdef";
const forwards = selectForwards(INSTANCE);
const sni = selectSni(INSTANCE);

/** Everything that is open, as a packet meets it; what is not there is closed. */
function open(state: State): string[] {
  const rows = [...forwards(state).rows(), ...sni(state).rows()].map(({ spec }) => {
    switch (spec.kind) {
      case "forward":
        return `${spec.address}:${spec.port}/${spec.protocol} → ${spec.toAddress}:${spec.toPort}`;
      case "outbound":
        return `${spec.address}:${spec.port} leaves as ${spec.toAddress}:${spec.toPort}`;
      case "route":
        return `${spec.name} on ${spec.port} → ${spec.toAddress}:${spec.toPort}, ${spec.source}`;
      case "fallback":
        return `else on ${spec.port} → ${spec.toAddress}:${spec.toPort}, ${spec.source}`;
      case "skeleton":
        return `skeleton${spec.proxied === true ? ", proxied" : ""}`;
      case "ours":
        return `ours ${spec.protocol} ${spec.port}`;
      default:
        return spec.kind;
    }
  });
  return rows.sort();
}

/** The same, from what is mapped in the order of its mapping: by hand, rule after rule. */
function expected(live: readonly string[]): string[] {
  const names = live.filter((item) => NAMES.includes(item));
  const wholes = live.filter((item) => !NAMES.includes(item));
  const [oldest] = wholes;
  const shared = names.length > 0;
  const has = (port: string): boolean => wholes.includes(port);
  const device = `${DEVICE}:443`;
  const rows: string[] = [];
  if (has("80")) rows.push(`${WAN_ADDRESS}:80/tcp → ${device}`);
  else if (shared) rows.push(`${WAN_ADDRESS}:80/tcp → ${WAN_ADDRESS}:60080`, "redirect");
  if (shared) rows.push(`${WAN_ADDRESS}:443/tcp → ${WAN_ADDRESS}:60443`);
  else if (has("443")) rows.push(`${WAN_ADDRESS}:443/tcp → ${device}`);
  rows.push(...names.map((name) => `${name} on 443 → ${device}, keep`));
  if (shared && has("443")) rows.push(`else on 443 → ${device}, keep`);
  if (shared) rows.push("proxy");
  // What the host itself sends from the port has the first of its external ports; whatever comes in by a port is ours.
  if (oldest !== undefined) rows.push(`${device} leaves as ${WAN_ADDRESS}:${oldest}`);
  if (has("80") || shared) rows.push("ours tcp 80");
  if (has("443") || shared) rows.push("ours tcp 443");
  rows.push(shared ? "skeleton, proxied" : "skeleton");
  return rows.sort();
}

function mapItem(gateway: Gateway, item: string): void {
  const asked = requestOf(item);
  const answer = mapped(gateway.map(asked));
  expect(answer).toMatchObject({ externalPort: asked.suggestedPort, lifetime: 3600 });
}

function renewItem(gateway: Gateway, item: string): void {
  gateway.later(1);
  const renewed = gateway.map(requestOf(item));
  expect(eventsOf(renewed)).toEqual([]);
  expect(mapped(renewed).externalPort).toBe(requestOf(item).suggestedPort);
}

function deleteItem(gateway: Gateway, item: string): void {
  const { internalPort, nonce, names } = { names: undefined, ...requestOf(item) };
  const gone = gateway.unmap({ internalPort, nonce, ...(names !== undefined && { names }) });
  expect(eventsOf(gone)).toEqual(["lease.released"]);
}

const STEPS = [mapItem, renewItem, deleteItem];

interface Node {
  readonly state: State;
  /** How many of its steps each has behind it. */
  readonly done: Readonly<Record<string, number>>;
  /** What is mapped, oldest first. */
  readonly live: readonly string[];
}

/** Each next step from here, with what is mapped after it. */
function nextOf({ done, live }: Node, items: readonly string[]) {
  return items.flatMap((item) => {
    const step = STEPS[done[item] ?? 0];
    if (step === undefined) return [];
    const without = live.filter((other) => other !== item);
    const after = step === deleteItem ? without : step === mapItem ? [...live, item] : live;
    return [{ item, step, live: after, done: { ...done, [item]: (done[item] ?? 0) + 1 } }];
  });
}

/**
 * Every order of the steps of all items. Two ways to the same steps done with the same age order of what is mapped go on
 * alike, so each of those is gone on from once.
 */
function everyOrder(gateway: Gateway, items: readonly string[]): number {
  const seen = new Set<string>();
  const waiting: Node[] = [{ state: gateway.state, done: {}, live: [] }];
  let steps = 0;
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    for (const { item, step, live, done } of nextOf(node, items)) {
      gateway.back(node.state);
      step(gateway, item);
      steps += 1;
      const told = `${step.name} ${item}, after ${JSON.stringify(node.done)} with ${node.live.join(", ")}`;
      expect(open(gateway.state), told).toEqual(expected(live));
      const key = `${items.map((each) => done[each] ?? 0).join("")} ${live.join()}`;
      if (!seen.has(key)) waiting.push({ state: gateway.state, done, live });
      seen.add(key);
    }
  }
  return steps;
}

function permutations(items: readonly string[]): string[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item) => permutations(items.filter((other) => other !== item)).map((rest) => [item, ...rest]));
}

describe("[P6] 80→443 and 443→443 with three names, mapped, renewed and deleted in every order", () => {
  // As many ways on from any number of their steps done, with any ages of what is mapped.
  it.each([
    ["same-host", PAIR, 3648],
    ["strict", PAIR.slice(0, 3), 324],
  ] as const)(
    "%s: nothing else opens, and nothing else closes",
    (nonce, items, steps) => {
      expect(everyOrder(new Gateway({}, nonce), items)).toBe(steps);
    },
    60_000,
  );

  it("with the whole of 443 beside them, in every order of mapping, and back in that order and the other", () => {
    const items = ["443", ...PAIR];
    const gateway = new Gateway({}, "same-host");
    const empty = gateway.state;
    for (const order of permutations(items)) {
      gateway.back(empty);
      for (const [index, item] of order.entries()) {
        mapItem(gateway, item);
        expect(open(gateway.state), order.join()).toEqual(expected(order.slice(0, index + 1)));
      }
      const full = gateway.state;
      for (const back of [order, order.toReversed()]) {
        gateway.back(full);
        let live: readonly string[] = order;
        for (const item of back) {
          deleteItem(gateway, item);
          live = live.filter((other) => other !== item);
          expect(open(gateway.state), `${order.join()}, back ${back.join()}`).toEqual(expected(live));
        }
      }
    }
  });

  it("three names in one request are given back one by one, and then all that is left at once", () => {
    for (const order of permutations(NAMES)) {
      const gateway = new Gateway({}, "same-host");
      const all = { ...requestOf("all"), names: NAMES };
      mapItem(gateway, "80");
      expect(mapped(gateway.map(all)).externalPort).toBe(443);
      const [first = "", ...rest] = order;
      gateway.unmap({ internalPort: 443, nonce: all.nonce, names: [first] });
      expect(open(gateway.state)).toEqual(expected(["80", ...rest]));
      gateway.unmap({ internalPort: 443, nonce: all.nonce, names: rest });
      expect(open(gateway.state)).toEqual(expected(["80"]));
    }
  });
});
