import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { GENESIS_HASH } from "../../src/events/envelope.ts";
import { EVENT_TYPES, type PortreeveRecord } from "../../src/events/index.ts";
import { decodeStored, hashOf, parseStored } from "../../src/events/record.ts";
import { replay } from "../../src/reducers/fold.ts";
import { checkInvariants } from "../../src/reducers/invariants.ts";
import type { DesiredTable } from "../../src/reducers/select/desired.ts";
import { selectDns } from "../../src/reducers/select/dns-rows.ts";
import { selectForwards } from "../../src/reducers/select/forward-rows.ts";
import { selectGuard } from "../../src/reducers/select/guard-rows.ts";
import { selectRoutes } from "../../src/reducers/select/route-rows.ts";
import { selectSecrets } from "../../src/reducers/select/secret-rows.ts";
import { selectSni } from "../../src/reducers/select/sni-rows.ts";
import { selectSysctls } from "../../src/reducers/select/sysctl-rows.ts";
import { selectWireguard } from "../../src/reducers/select/wireguard-rows.ts";
import { contentHash, stateFromJson, stateHash, stateToJson } from "../../src/reducers/state-json.ts";
import { liftState } from "../../src/reducers/state-lift.ts";
import { REDUCER_VERSION, type State } from "../../src/reducers/state.ts";

/**
 * Histories as a release wrote them; nobody edits them. If one of these fails, old logs fold otherwise than they did:
 * raise the event's version (or REDUCER_VERSION), do not touch the fixture.
 */
const FIXTURES = new URL("./fixtures/", import.meta.url);
const INSTANCE = "0123456789abcdef";

const read = (path: string): string => readFileSync(new URL(path, FIXTURES), "utf8");
const json = (path: string): unknown => JSON.parse(read(path));

/** The stored form is the exported line without its hash, which is over exactly those bytes. */
function recordsOf(name: string): PortreeveRecord[] {
  let prevHash = GENESIS_HASH;
  return read(`${name}/events.ndjson`)
    .trimEnd()
    .split("\n")
    .map((line, index) => {
      const { hash, ...stored } = JSON.parse(line) as { hash: string };
      const text = JSON.stringify(stored);
      const record = decodeStored(parseStored(index + 1, text), hashOf(text));
      expect([record.hash, record.prevHash]).toEqual([hash, prevHash]);
      prevHash = hash;
      return record;
    });
}

interface Golden {
  readonly hash: string;
  readonly contentHash: string;
  readonly state: unknown;
  /** The fold that wrote it; 1 where it is not said. */
  readonly reducerVersion?: number;
}

/** Reconcilers that there were at the release. */
const reconcilersOf = (name: string): string[] =>
  readdirSync(new URL(`${name}/`, FIXTURES)).flatMap((file) => /^desired\.(.+)\.json$/.exec(file)?.[1] ?? []);

const rows = (table: DesiredTable<unknown>): unknown =>
  JSON.parse(JSON.stringify([...table.rows()].sort((a, b) => (a.key < b.key ? -1 : 1))));

const SELECTORS: Record<string, (state: State) => DesiredTable<unknown>> = {
  "nftables-forwards": selectForwards(INSTANCE),
  "nftables-guard": selectGuard(INSTANCE),
  sysctls: selectSysctls(),
  wireguard: selectWireguard(),
  routes: selectRoutes(),
  secrets: selectSecrets(),
  "sni-routes": selectSni(INSTANCE),
  dns: selectDns(),
};

describe.each(readdirSync(FIXTURES))("golden history %s", (name) => {
  it("[E2] decodes with its chain whole", () => {
    expect(recordsOf(name).length).toBeGreaterThan(10);
  });

  it("[E3] folds into the state it always has", async () => {
    const state = await replay(recordsOf(name));
    const golden = json(`${name}/state.json`) as Golden;
    // A fold that came later has more to say; what the release said is lifted as a compacted log's state is.
    const version = golden.reducerVersion ?? 1;
    const lifted = liftState(golden.state, version) as Record<string, unknown>;
    // A lift does not know which event was the last that names hang on: it takes the last there was.
    if (version < 5) {
      expect(lifted["dnsRevision"]).toBeGreaterThanOrEqual(state.dnsRevision);
      lifted["dnsRevision"] = state.dnsRevision;
    }
    expect(JSON.parse(JSON.stringify(stateToJson(state)))).toEqual(lifted);
    const hashed = stateFromJson(lifted);
    expect([stateHash(state), contentHash(state)]).toEqual([stateHash(hashed), contentHash(hashed)]);
    expect(checkInvariants(state)).toEqual([]);
    if (version !== REDUCER_VERSION) return;
    expect([stateHash(state), contentHash(state)]).toEqual([golden.hash, golden.contentHash]);
  });

  it.each(reconcilersOf(name))("selects the rows of %s it always has", async (reconciler) => {
    const select = SELECTORS[reconciler] as (state: State) => DesiredTable<unknown>;
    expect(rows(select(await replay(recordsOf(name))))).toEqual(json(`${name}/desired.${reconciler}.json`));
  });
});

it("every released event type is in some golden history", () => {
  const types = readdirSync(FIXTURES).flatMap((name) => recordsOf(name).map((record) => record.event.type));
  expect([...new Set(types)].sort()).toEqual(Object.keys(EVENT_TYPES).sort());
});
