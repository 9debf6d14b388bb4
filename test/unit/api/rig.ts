import { createNames } from "../../../src/daemon/names.ts";
import type { IncomingMessage } from "node:http";
import { createApp } from "../../../src/api/app.ts";
import { Accounts } from "../../../src/api/auth/accounts.ts";
import { FirstToken } from "../../../src/api/auth/first-token.ts";
import type { DeviceKeys, KeyWish, Tunnel } from "../../../src/api/deps.ts";
import { publicKeyOf } from "../../../src/adapters/wireguard/keys.ts";
import type { Device } from "../../../src/reducers/state.ts";
import type { ApiDeps, DesiredSource, Readiness } from "../../../src/api/deps.ts";
import type { Port } from "../../../src/api/schemas/port.ts";
import type { App } from "../../../src/api/typed-app.ts";
import { Controller } from "../../../src/controller/controller.ts";
import type { EventLog } from "../../../src/events/log.ts";
import { Secret } from "../../../src/events/secret.ts";
import { memoryLog } from "../../../src/events/log-memory.ts";
import type { Snapshot, SnapshotHeader, SnapshotStore, SnapshotText } from "../../../src/events/snapshot.ts";
import { History } from "../../../src/controller/history.ts";
import { SnapshotKeeper } from "../../../src/controller/snapshot-keeper.ts";
import { ManualClock } from "../../../src/lib/manual-clock.ts";
import type { PeerActivity, PeerActivitySource, PeerHistory } from "../../../src/lib/peer-activity.ts";
import { createMetrics } from "../../../src/lib/metrics.ts";
import { RequestLog } from "../../../src/lib/request-log.ts";
import type { Health, PassReport, Reconciler, RowStatus, Settlement } from "../../../src/reconcilers/contract.ts";
import type { Command } from "../../../src/reducers/decide/command.ts";
import { forwardKeysOf } from "../../../src/reducers/select/forward-keys.ts";
import { selectForwards } from "../../../src/reducers/select/forward-rows.ts";
import type { Finding } from "../../../src/reducers/doctor/finding.ts";
import { initialState } from "../../../src/reducers/state.ts";
import { Gateway, mapRequest, T0 } from "../reducers/given.ts";
import { type MemorySecrets, memorySecrets } from "./memory-secrets.ts";

export const INSTANCE = "00000000000000aa";
/** Checking a password costs nothing in tests that are about something else. */
export const CHEAP = { N: 16, r: 1, p: 1 };
export const FORWARDS = "nftables-forwards";

export const OK: Health = {
  level: "ok",
  message: "in sync",
  lastSuccessAt: T0,
  failingSince: null,
  errorsCurrent: 0,
  heldBack: 0,
};

const PASS: PassReport = {
  id: 1,
  at: T0,
  reasons: ["state"],
  through: 3,
  observedFresh: true,
  created: 2,
  updated: 0,
  deleted: 0,
  failed: 0,
  heldBack: 0,
  driftBy: null,
  durationMs: 4,
  error: null,
};

/** A reconciler whose kernel agrees at once, unless a test says otherwise of a row. */
export class ScriptedReconciler implements Reconciler {
  readonly name = FORWARDS;
  readonly statuses = new Map<string, RowStatus>();
  readonly passes: PassReport[] = [PASS];
  readonly runs: string[] = [];
  brakeReleases = 0;
  health = OK;
  readonly #controller: () => Controller;
  readonly #select = selectForwards(INSTANCE);

  constructor(controller: () => Controller) {
    this.#controller = controller;
  }

  status(key: string): RowStatus | undefined {
    const told = this.statuses.get(key);
    if (told !== undefined) return told;
    const row = this.#select(this.#controller().state).get(key);
    if (row === undefined) return undefined;
    return { kind: "done", revision: row.revision, attempts: 0, retryAt: null, error: null, since: T0 };
  }

  settled(): Promise<Settlement> {
    return Promise.resolve({ through: this.#controller().state.seq, failed: new Map() });
  }

  run(reason: string): Promise<PassReport> {
    this.runs.push(reason);
    return Promise.resolve(PASS);
  }

  plan(): Promise<readonly { op: string; key: string; owners: readonly string[] }[]> {
    return Promise.resolve([{ op: "delete", key: "forward|11.22.33.1|tcp|1", owners: [] }]);
  }

  releaseBrake(): void {
    this.brakeReleases += 1;
  }
}

class MemorySnapshots implements SnapshotStore {
  readonly #kept = new Map<number, Snapshot>();

  write(header: SnapshotHeader, state: Iterable<string>): Promise<void> {
    this.#kept.set(header.seq, { ...header, state: JSON.parse([...state].join("")) as unknown });
    return Promise.resolve();
  }

  list(): Promise<readonly Omit<Snapshot, "state">[]> {
    const all = [...this.#kept.values()].sort((a, b) => b.seq - a.seq);
    return Promise.resolve(
      all.map(({ seq, at, chainHash, reducerVersion }) => ({ seq, at, chainHash, reducerVersion })),
    );
  }

  read(seq: number): Promise<Snapshot | undefined> {
    return Promise.resolve(structuredClone(this.#kept.get(seq)));
  }

  async open(seq: number): Promise<SnapshotText | undefined> {
    const kept = this.#kept.get(seq);
    if (kept === undefined) return undefined;
    const lines = (async function* () {
      yield JSON.stringify(kept.state);
    })();
    return { ...kept, lines };
  }

  remove(seq: number): Promise<void> {
    this.#kept.delete(seq);
    return Promise.resolve();
  }
}

export interface Rig {
  readonly app: App;
  readonly deps: ApiDeps;
  readonly controller: Controller;
  readonly clock: ManualClock;
  readonly log: EventLog;
  readonly reconciler: ScriptedReconciler;
  readiness: Readiness;
  findings: readonly Finding[];
  /** Holds back what `submitSettled` and `?wait` wait for. */
  settle: (seq: number, signal: AbortSignal) => Promise<void>;
  effect: () => { kind: "effective" | "pending" } | { kind: "refused"; message: string };
  /** As a device or the kernel would. */
  submit(command: Command, source?: string): Promise<void>;
  call<T = Record<string, unknown>>(method: string, url: string, options?: CallOptions): Promise<Reply<T>>;
  ports(): Promise<Port[]>;
}

export interface CallOptions {
  readonly body?: object;
  readonly headers?: Record<string, string>;
}

export interface Reply<T> {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: T;
  readonly text: string;
}

async function inject<T>(app: App, method: string, url: string, options: CallOptions = {}): Promise<Reply<T>> {
  const { body, headers = {} } = options;
  const payload = body === undefined ? {} : { payload: body };
  const {
    statusCode: status,
    headers: sent,
    body: text,
  } = await app.inject({ method: method as "GET", url, headers, ...payload });
  const isJson = /^application\/(problem\+)?json/.test(String(sent["content-type"]));
  return { status, headers: sent, text, body: (isJson ? JSON.parse(text) : null) as T };
}

/** Makes keys that count up, keeps their secrets, and remembers what was wished for. */
export class FakeTunnel implements Tunnel {
  readonly #secrets: MemorySecrets;
  #made = 0;
  readonly wishes: KeyWish[] = [];
  /** What WireGuard would have counted, by public key. */
  readonly counted = new Map<string, PeerHistory>();
  /** What it would say of a peer now. */
  readonly lately = new Map<string, PeerActivity>();
  readonly activity: PeerActivitySource = {
    activity: (publicKey) => this.lately.get(publicKey),
    history: (publicKey) => this.counted.get(publicKey),
  };

  constructor(secrets: MemorySecrets) {
    this.#secrets = secrets;
  }

  routes() {
    return Promise.resolve([{ prefix: "172.17.0.0/16", interface: "docker0" }]);
  }

  #keysFor(publicKey: string | null): DeviceKeys {
    this.#made += 1;
    const bytes = Buffer.alloc(32);
    // Not where a plan counts the keys that it does not make.
    bytes.writeUInt32BE(this.#made, 4);
    return {
      publicKey: publicKey ?? bytes.toString("base64"),
      privateKeySecret: publicKey === null ? this.#keep("wireguard-key", this.#made * 2) : null,
      presharedKeySecret: this.#keep("wireguard-psk", this.#made * 2 + 1),
    };
  }

  #keep(kind: string, n: number): string {
    const secretId = `s1${n.toString(16).padStart(31, "0")}`;
    this.#secrets.kept.set(secretId, {
      kind,
      material: new Secret(Buffer.from(secretId).subarray(0, 32).toString("base64")),
    });
    return secretId;
  }

  async sealKeys(wishes: readonly KeyWish[]): Promise<DeviceKeys[]> {
    const keys: DeviceKeys[] = [];
    for (const wish of wishes) {
      this.wishes.push(wish);
      keys.push(this.#keysFor(wish.publicKey));
    }
    return keys;
  }

  publicKeyOf = publicKeyOf;

  configOf(device: Device) {
    return Promise.resolve({ text: `# ${device.name}\n`, qr: "<svg/>", notes: [] });
  }
}

/** Answers nothing; whose it is, is what a test of the routes can see. */
const RESOLVER = {
  queries: [],
  logsQueries: false,
  ask: (view: string) =>
    Promise.resolve({
      view,
      decision: "zone" as const,
      why: "the gateway answers for home.arpa itself",
      zone: "home.arpa",
      rcode: "NOERROR",
      answers: [],
      durationMs: 0,
    }),
};

/** The real controller on a log in memory with wan0 and lan0, behind the API; only the kernel is scripted. */
export async function makeRig(): Promise<Rig> {
  const log = memoryLog({ instanceId: INSTANCE });
  const clock = new ManualClock(T0);
  const controller = new Controller({ log, clock, entropy: () => 7, state: initialState() });
  const reconciler = new ScriptedReconciler(() => controller);
  const desired: DesiredSource[] = [
    {
      reconciler: FORWARDS,
      select: selectForwards(INSTANCE),
      keysOf: (state, mapping) => forwardKeysOf(state, mapping),
    },
  ];
  let rig: Rig;
  const secrets = memorySecrets();
  const deps: ApiDeps = {
    controller,
    clock,
    wallClock: () => clock.now(),
    secrets,
    tunnel: new FakeTunnel(secrets),
    names: createNames({ state: () => controller.state, secrets, server: RESOLVER }),
    reconcilers: [reconciler],
    desired,
    history: new History(log, new MemorySnapshots()),
    snapshots: new SnapshotKeeper(new MemorySnapshots(), log, () => controller.state),
    answers: { get: (requestId) => log.answerOf(requestId) },
    requestLog: new RequestLog(),
    metrics: createMetrics(),
    info: {
      version: "1.2.3",
      instanceId: INSTANCE,
      startedAt: T0,
      sockets: ["api socket"],
      log: { fault: null, verification: null },
      warnings: [],
    },
    log: {
      warn: (fields, message) => console.warn(message, fields),
      error: (fields, message) => console.error(message, fields),
    },
    readiness: () => rig.readiness,
    sharesPorts: () => true,
    routeHits: () => Promise.resolve(new Map()),
    doctor: () => Promise.resolve(rig.findings),
  };
  const app = await createApp(deps, {
    cameBySocket: (_raw: IncomingMessage) => true,
    names: null,
    secure: false,
    authority: null,
    accounts: new Accounts(deps, CHEAP),
    firstToken: new FirstToken("/nonexistent/api-token"),
  });
  rig = {
    app,
    deps,
    controller,
    clock,
    log,
    reconciler,
    readiness: { ready: true, reasons: [] },
    findings: [],
    settle: () => Promise.resolve(),
    effect: () => ({ kind: "effective" }),
    submit: async (command, source = "kernel") => {
      const outcome = await controller.submit({ ...command, source, requestId: `r${controller.state.seq}` });
      if (!outcome.ok) throw new Error(outcome.refusal.message);
    },
    call: (method, url, options) => inject(app, method, url, options),
    ports: async () => (await rig.call<Port[]>("GET", "/api/v1/ports")).body,
  };
  controller.settleWith({ settled: (seq, signal) => rig.settle(seq, signal), effect: () => rig.effect() });
  const { settings } = new Gateway().state;
  await rig.submit({ type: "settings.set", settings });
  await rig.submit({
    type: "interface.observe",
    name: "lan0",
    up: true,
    addresses: ["192.168.77.1/24"],
    gateway: null,
  });
  await rig.submit({ type: "interface.observe", name: "wan0", up: true, addresses: ["11.22.33.1/24"], gateway: null });
  controller.enter("running");
  return rig;
}

export const WEB = {
  protocol: "tcp",
  externalPort: 8443,
  internalAddress: "192.168.77.2",
  internalPort: 443,
  label: "web",
};

/** A device asks by PCP for tcp 8080. */
export const asDevice = (rig: Rig): Promise<void> => {
  return rig.submit(mapRequest({ suggestedPort: 8080 }), "pcp:192.168.77.2");
};
