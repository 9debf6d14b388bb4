import type * as Diff from "../../src/reconcilers/engine/diff.ts";
import type * as Policy from "../../src/reconcilers/engine/policy.ts";
import type * as Retry from "../../src/reconcilers/engine/retry.ts";
import type * as Filters from "../../src/reducers/decide/filters.ts";
import type * as Unmap from "../../src/reducers/decide/unmap.ts";
import type * as SniRows from "../../src/reducers/select/sni-rows.ts";
import type * as System from "../../src/reducers/decide/system.ts";
import type * as InterfaceReducer from "../../src/reducers/interface.ts";
import type * as DeviceNames from "../../src/reducers/decide/device-names.ts";
import type * as RrsetChange from "../../src/reducers/decide/rrset-change.ts";
import type * as NameReducer from "../../src/reducers/dns-record.ts";
import type * as LeaseReducer from "../../src/reducers/lease.ts";
import type { Desired, DesiredTable } from "../../src/reducers/select/desired.ts";
import type * as ForwardRows from "../../src/reducers/select/forward-rows.ts";
import type * as NameRows from "../../src/reducers/select/dns-rows.ts";
import type { State } from "../../src/reducers/state.ts";

/** A bug somebody could make. `plant` gives what the module exports instead of its own. */
export interface PlantedBug {
  readonly area:
    | "reducer"
    | "selector"
    | "diff"
    | "retry"
    | "prune gate"
    | "delete brake"
    | "names"
    | "sharing"
    | "rights";
  readonly bug: string;
  /** How the simulation must notice it: what is caught for another reason is caught by chance. */
  readonly shows: RegExp;
  readonly module: string;
  /** Where it shows rarely: the seed to begin with. */
  readonly first?: number;
  readonly plant: (original: never) => object;
}

const SYSTEM = "../../src/reducers/decide/system.ts";
const LEASES = "../../src/reducers/lease.ts";
const INTERFACES = "../../src/reducers/interface.ts";
const FORWARD_ROWS = "../../src/reducers/select/forward-rows.ts";
const DIFF = "../../src/reconcilers/engine/diff.ts";
const RETRY = "../../src/reconcilers/engine/retry.ts";
const POLICY = "../../src/reconcilers/engine/policy.ts";
const NAMES = "../../src/reducers/dns-record.ts";
const DEVICE_NAMES = "../../src/reducers/decide/device-names.ts";
const RRSET_CHANGE = "../../src/reducers/decide/rrset-change.ts";
const FILTERS = "../../src/reducers/decide/filters.ts";
const SHARING = "../../src/reducers/sharing.ts";
const UNMAP = "../../src/reducers/decide/unmap.ts";
const REACH = "../../src/reducers/reach.ts";
const SNI_ROWS = "../../src/reducers/select/sni-rows.ts";
const NAME_ROWS = "../../src/reducers/select/dns-rows.ts";

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    area: "reducer",
    bug: "the port of a lease that expired is not kept from other hosts",
    shows: /was not free for/,
    module: LEASES,
    plant: ({ onLeaseExpired }: typeof LeaseReducer) => ({
      onLeaseExpired: (draft: State, record: Parameters<typeof onLeaseExpired>[1]): void => {
        const portControl = { ...draft.settings.portControl, quarantine: 0 };
        onLeaseExpired({ ...draft, settings: { ...draft.settings, portControl } }, record);
      },
    }),
  },
  {
    area: "reducer",
    bug: "a lease that was made longer ends when it would have before",
    shows: /before it was promised to/,
    module: LEASES,
    plant: () => ({ onLeaseChanged: (): void => {} }),
  },
  {
    area: "reducer",
    bug: "each look at an interface restarts the epoch",
    shows: /the epoch began at/,
    module: INTERFACES,
    plant: ({ onInterfaceObserved }: typeof InterfaceReducer) => ({
      onInterfaceObserved: (draft: State, record: Parameters<typeof onInterfaceObserved>[1]): void => {
        onInterfaceObserved(draft, record);
        const restarted = { startedAt: record.at, reason: "seen" };
        draft.epochs = Object.fromEntries(Object.keys(draft.epochs).map((name) => [name, restarted]));
      },
    }),
  },
  {
    area: "reducer",
    bug: "after a reboot the epoch goes on from what the log knows, whatever clients were told",
    shows: /was told epoch/,
    module: SYSTEM,
    plant: ({ decideControllerStart }: typeof System) => ({
      decideControllerStart: (...args: Parameters<typeof decideControllerStart>) => {
        const decision = decideControllerStart(...args);
        return decision.ok ? { ...decision, events: decision.events.slice(0, 1) } : decision;
      },
    }),
  },
  {
    area: "selector",
    bug: "what leaves a mapped port keeps the internal port number",
    shows: /outbound .* leads to/,
    module: FORWARD_ROWS,
    plant: ({ selectForwards }: typeof ForwardRows) => ({
      selectForwards: altered(selectForwards, (row) =>
        row.spec.kind === "outbound" ? { ...row, spec: { ...row.spec, toPort: row.spec.port } } : row,
      ),
    }),
  },
  {
    area: "selector",
    bug: "a port that a program of the gateway listens on may be given to others",
    shows: /ours .* is missing/,
    module: FORWARD_ROWS,
    plant: ({ selectForwards }: typeof ForwardRows) => ({
      selectForwards: altered(selectForwards, (row) => (row.owners.join() === "listener" ? undefined : row)),
    }),
  },
  {
    area: "selector",
    bug: "rows that are no longer wanted are not among those that changed",
    shows: /nobody was promised it/,
    module: FORWARD_ROWS,
    plant: ({ selectForwards }: typeof ForwardRows) => ({
      selectForwards: altered(
        selectForwards,
        (row) => row,
        (keys, table) => [...keys].filter((key) => table.get(key) !== undefined),
      ),
    }),
  },
  {
    area: "diff",
    bug: "an element that leads elsewhere counts as right",
    shows: /leads to .* instead of|under the same serial/,
    module: DIFF,
    plant: ({ diffAll, diffKeys }: typeof Diff) => ({
      diffAll: (...args: Parameters<typeof diffAll>) => diffAll(...args).filter(({ op }) => op !== "update"),
      diffKeys: (...args: Parameters<typeof diffKeys>) => diffKeys(...args).filter(({ op }) => op !== "update"),
    }),
  },
  {
    area: "diff",
    bug: "what is there and nobody wants is not seen in a full comparison",
    shows: /nobody was promised it|deletes are held back|degraded/,
    module: DIFF,
    plant: ({ diffAll }: typeof Diff) => ({
      diffAll: (...args: Parameters<typeof diffAll>) => diffAll(...args).filter(({ op }) => op !== "delete"),
    }),
  },
  {
    area: "retry",
    bug: "what failed is tried again next month",
    shows: /in quiet .* degraded/,
    module: RETRY,
    plant: () => ({ backoffMs: (): number => 30 * 86_400_000 }),
  },
  {
    area: "retry",
    bug: "what failed is tried again at once, for ever",
    shows: /asked without a pause/,
    module: RETRY,
    plant: ({ backoffMs }: typeof Retry) => ({
      backoffMs: (...[, knobs, random]: Parameters<typeof backoffMs>) => backoffMs(1, { ...knobs, minMs: 1 }, random),
    }),
  },
  {
    area: "prune gate",
    bug: "it is open before every source was seen",
    shows: /deleted behind the gate/,
    module: POLICY,
    plant: ({ restrain }: typeof Policy) => ({
      restrain: (...[changes, restraints]: Parameters<typeof restrain>) =>
        restrain(changes, { ...restraints, initialized: true }),
    }),
  },
  {
    area: "prune gate",
    bug: "it never opens",
    shows: /until every source has been seen|held back that facts explain/,
    module: POLICY,
    plant: ({ restrain }: typeof Policy) => ({
      restrain: (...[changes, restraints]: Parameters<typeof restrain>) =>
        restrain(changes, { ...restraints, initialized: false }),
    }),
  },
  {
    area: "delete brake",
    bug: "it never holds",
    shows: /deleted at once|deletes are held back/,
    module: POLICY,
    plant: ({ restrain }: typeof Policy) => ({
      restrain: (...[changes, restraints]: Parameters<typeof restrain>) =>
        restrain(changes, { ...restraints, released: true }),
    }),
  },
  {
    area: "delete brake",
    bug: "it holds back what events explain",
    shows: /held back that facts explain/,
    module: POLICY,
    plant: ({ restrain }: typeof Policy) => ({
      restrain: (...[changes, restraints]: Parameters<typeof restrain>) =>
        restrain(changes, { ...restraints, explained: () => false }),
    }),
  },
  {
    area: "delete brake",
    bug: "an operator cannot let go of it",
    shows: /release-brake/,
    module: POLICY,
    plant: ({ restrain }: typeof Policy) => ({
      restrain: (...[changes, restraints]: Parameters<typeof restrain>) =>
        restrain(changes, { ...restraints, released: false }),
    }),
  },
  {
    area: "names",
    bug: "an update that takes away one value takes away all of its type",
    shows: /and should have/,
    module: RRSET_CHANGE,
    plant: ({ changed }: typeof RrsetChange) => ({
      changed: (...[records, change, fixed]: Parameters<typeof changed>) =>
        changed(records, change.kind === "delete-value" ? { ...change, kind: "delete-rrset" } : change, fixed),
    }),
  },
  {
    area: "names",
    bug: "what a device may not publish any more stays",
    shows: /without right to it/,
    module: DEVICE_NAMES,
    plant: ({ removedNames }: typeof DeviceNames) => ({
      withdrawnNames: () => [],
      removedNames: (...[state, device, reason]: Parameters<typeof removedNames>) =>
        reason === "right" ? [] : removedNames(state, device, reason),
    }),
  },
  {
    area: "names",
    bug: "an operator's edit leaves the serial as it was",
    shows: /under the same serial/,
    module: NAMES,
    plant: ({ onRecordChanged }: typeof NameReducer) => ({
      onRecordChanged: (draft: State, record: Parameters<typeof onRecordChanged>[1]): void => {
        const serial = draft.dnsRevision;
        onRecordChanged(draft, record);
        draft.dnsRevision = serial;
      },
    }),
  },
  {
    area: "names",
    bug: "names that changed are not among the rows that did",
    shows: /is served as|is missing|instead of|nobody was promised it/,
    module: NAME_ROWS,
    plant: ({ selectDns }: typeof NameRows) => ({
      selectDns: altered(
        () => selectDns(),
        (row) => row,
        (keys) => [...keys].filter((key) => !key.startsWith("name|")),
      ),
    }),
  },
  {
    area: "sharing",
    bug: "a filter of one host lets in its whole network",
    shows: /a claim lets in/,
    module: FILTERS,
    plant: ({ filtersAfter }: typeof Filters) => ({
      filtersAfter: (...args: Parameters<typeof filtersAfter>) => {
        const filters = filtersAfter(...args);
        if ("code" in filters) return filters;
        return filters.map((each) => ({ ...each, prefix: each.prefix.replace(/\.\d+\/32$/, ".0/24") }));
      },
    }),
  },
  {
    area: "sharing",
    bug: "filters are kept and let everybody in",
    shows: /restricted .* is missing/,
    module: REACH,
    plant: () => ({ admittedPeers: () => null }),
  },
  {
    area: "sharing",
    bug: "the last port of a set is lost on the way to the kernel",
    shows: /ranges .* is missing/,
    module: FORWARD_ROWS,
    plant: ({ selectForwards }: typeof ForwardRows) => ({
      selectForwards: altered(selectForwards, (row) =>
        row.spec.kind === "range" ? { ...row, spec: { ...row.spec, lastPort: row.spec.lastPort - 1 } } : row,
      ),
    }),
  },
  {
    area: "sharing",
    bug: "a name is given to whoever asks for it",
    shows: /was given to two|is of .*'s \*\.|met a bug/,
    module: SHARING,
    plant: () => ({ nameHolder: () => undefined }),
  },
  {
    area: "sharing",
    bug: "what is left of a port closes with a name of it",
    shows: /closed with a delete of/,
    module: UNMAP,
    plant: ({ decideUnmap }: typeof Unmap) => ({
      decideUnmap: (...[command, ...rest]: Parameters<typeof decideUnmap>) => {
        const decision = decideUnmap(command, ...rest);
        if (!decision.ok || command.names === undefined) return decision;
        const { names: _, ...whole } = command;
        const also = decideUnmap(whole, ...rest);
        return also.ok ? { ...decision, events: [...decision.events, ...also.events] } : decision;
      },
    }),
  },
  {
    area: "sharing",
    bug: "HAProxy is not told what is left of a port",
    shows: /fallback\|.* is missing/,
    module: SNI_ROWS,
    plant: ({ selectSni }: typeof SniRows) => ({
      selectSni: altered(selectSni, (row) => (row.spec.kind === "fallback" ? undefined : row)),
    }),
  },
];

type Select<Spec> = (instanceId: string) => (state: State) => DesiredTable<Spec>;

/** A selector whose rows, and what it says has changed, pass through a bug. */
function altered<Spec>(
  select: Select<Spec>,
  alter: (row: Desired<Spec>) => Desired<Spec> | undefined,
  changed: (keys: Iterable<string>, table: DesiredTable<Spec>) => Iterable<string> = (keys) => keys,
): Select<Spec> {
  type Table = DesiredTable<Spec>;
  const inner = new WeakMap<Table, Table>();
  const wrap = (table: Table): Table => {
    const wrapped: Table = {
      get(key) {
        const row = table.get(key);
        return row === undefined ? undefined : alter(row);
      },
      *rows() {
        for (const row of table.rows()) {
          const bad = alter(row);
          if (bad !== undefined) yield bad;
        }
      },
      changedSince(previous) {
        const keys = table.changedSince(inner.get(previous) ?? previous);
        return keys === null ? null : changed(keys, table);
      },
    };
    inner.set(wrapped, table);
    return wrapped;
  };
  return (instanceId) => {
    const selected = select(instanceId);
    let last: { table: Table; wrapped: Table } | null = null;
    return (state) => {
      const table = selected(state);
      if (last?.table !== table) last = { table, wrapped: wrap(table) };
      return last.wrapped;
    };
  };
}
