import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { generateKeyPair, generatePresharedKey, textOf } from "../../../../src/adapters/wireguard/keys.ts";
import {
  createWireguardTarget,
  removeWireguard,
  type WireguardTarget,
} from "../../../../src/adapters/wireguard/target.ts";
import { Secret } from "../../../../src/events/secret.ts";
import { PortreeveError } from "../../../../src/lib/errors.ts";
import type { Change, Desired, Outcome } from "../../../../src/reconcilers/contract.ts";
import { wireguard, type WireguardObservation } from "../../../../src/reconcilers/wireguard.ts";
import type { WireguardRow } from "../../../../src/reducers/select/rows.ts";
import { describeTargetConformance } from "../../reconcilers/target-conformance.ts";
import { FakeMachine } from "./fake-machine.ts";

const NAME = "wg-portreeve";
const INSTANCE = "0011223344556677";
const { signal } = new AbortController();

const keyOf = (row: WireguardRow): string => (row.kind === "link" ? "link" : `peer|${row.publicKey}`);
const desired = (spec: WireguardRow): Desired<WireguardRow> => ({
  key: keyOf(spec),
  spec,
  owners: ["test"],
  revision: 1,
});
const create = (spec: WireguardRow): Change<WireguardRow, WireguardObservation> => ({
  op: "create",
  key: keyOf(spec),
  desired: desired(spec),
});

/** A target over a fake machine, with what is wanted and what is sealed in our hands. */
class Rig {
  readonly machine = new FakeMachine();
  readonly sealed = new Map<string, Secret>();
  readonly wanted = new Map<string, WireguardRow>();
  readonly endpoints = new Map<string, string>();
  readonly ours = generateKeyPair();
  readonly target: WireguardTarget = createWireguardTarget({
    instanceId: INSTANCE,
    secrets: {
      open: async (secretId) => {
        const secret = this.sealed.get(secretId);
        if (secret === undefined) throw new PortreeveError("NOT_FOUND", `there is no secret ${secretId}`, "refused");
        return secret;
      },
    },
    wanted: (key) => this.wanted.get(key),
    endpointOf: (publicKey) => this.endpoints.get(publicKey) ?? null,
    run: this.machine.run,
    pollMs: 5,
  });
  readonly link: WireguardRow = {
    kind: "link",
    interface: NAME,
    listenPort: 51820,
    publicKey: this.ours.publicKey,
    privateKeySecret: "s-link",
  };

  constructor() {
    this.sealed.set("s-link", this.ours.privateKey);
    this.sealed.set("s-psk", generatePresharedKey());
    this.sealed.set("s-other", generatePresharedKey());
  }

  peer(
    address: string,
    presharedKeySecret: string | null = "s-psk",
    publicKey = generateKeyPair().publicKey,
  ): WireguardRow {
    return { kind: "peer", publicKey, presharedKeySecret, allowedIps: [`${address}/32`] };
  }

  /** What is applied is wanted, as it is in the daemon. */
  async apply(plan: readonly Change<WireguardRow, WireguardObservation>[], by = signal): Promise<readonly Outcome[]> {
    for (const change of plan) {
      if (change.op === "delete") this.wanted.delete(change.key);
      else this.wanted.set(change.key, change.desired.spec);
    }
    return await this.target.apply(plan, by);
  }

  async create(...specs: WireguardRow[]): Promise<void> {
    const outcomes = await this.apply(specs.map(create));
    expect(outcomes.filter(({ ok }) => !ok)).toEqual([]);
  }
}

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});

describeTargetConformance(
  "the WireGuard target over a fake machine",
  { vouches: true, watches: true, rivals: true, refuses: true },
  async () => {
    const rig = new Rig();
    const { machine, target } = rig;
    const keys = [generateKeyPair(), generateKeyPair()].map(({ publicKey }) => publicKey);
    const rows = [rig.peer("10.59.7.2", "s-psk", keys[0]), rig.peer("10.59.7.3"), rig.peer("10.59.7.4", null)];
    // The suite asks `unchanged` after a change that only a poll can find.
    const watch = target.watch?.(() => undefined);
    return {
      target: { ...bound(target), apply: (plan, by) => rig.apply(plan, by) },
      matches: wireguard().matches,
      ground: [desired(rig.link)],
      rows: rows.map(desired),
      changedFirst: desired(rig.peer("10.59.7.9", "s-other", keys[0])),
      rivalOfFirst: desired(rig.peer("10.59.7.2", "s-psk", keys[1])),
      refused: desired(rig.peer("10.59.7.8", "s-erased")),
      tamper: async () => void machine.device(NAME).peers.delete(keys[0] ?? ""),
      foreign: async () => {
        if (!machine.links.has("other0")) machine.add("other0", "bridge");
        return JSON.stringify(machine.links.get("other0"));
      },
      close: async () => watch?.close(),
    };
  },
);

/** A class's methods as an object's, so that one can be replaced. */
function bound(target: WireguardTarget): WireguardTarget {
  return {
    name: target.name,
    observe: (by) => target.observe(by),
    apply: (plan, by) => target.apply(plan, by),
    expected: (spec) => target.expected?.(spec) as WireguardObservation,
    unchanged: () => target.unchanged?.() === true,
    watch: (onDrift) => target.watch?.(onDrift) as { close(): void },
    interfacesSeen: (links) => target.interfacesSeen(links),
    takeOver: (from) => target.takeOver(from),
  };
}

describe("the interface", () => {
  it("is wireguard-go's where the kernel has no WireGuard", async () => {
    rig.machine.kernelHasWireguard = false;
    await rig.create(rig.link, rig.peer("10.59.7.2"));
    expect(rig.machine.calls.filter((call) => call.includes("wireguard-go"))).toHaveLength(1);
    expect(rig.machine.links.get(NAME)).toMatchObject({ up: true, alias: `portreeve ${INSTANCE}` });
  });

  it("is made by few programs, as each waits for the one before it and the first device for all", async () => {
    rig.machine.kernelHasWireguard = false;
    await rig.target.observe(signal);
    const looks = rig.machine.calls.length;
    await rig.create(rig.link, rig.peer("10.59.7.2"));
    const programs = rig.machine.calls
      .slice(looks)
      .map((call) => call.replace(/^bash .*(wireguard-go|addconf).*$/, "$1"));
    expect(programs.map((each) => each.replace(NAME, "NAME").replace(INSTANCE, "MARK"))).toMatchInlineSnapshot(`
      [
        "ip -json link show",
        "ip link add NAME type wireguard",
        "wireguard-go",
        "ip link set dev NAME alias portreeve MARK",
        "addconf",
        "ip link set dev NAME up",
        "addconf",
        "ip -json link show",
        "wg show NAME dump",
      ]
    `);
  });

  it("is ours only with our mark, except while nobody has set it up", async () => {
    rig.machine.add(NAME, "wireguard");
    expect(await rig.target.observe(signal)).toEqual(new Map());
    const index = rig.machine.links.get(NAME)?.index;
    await rig.create(rig.link);
    expect(rig.machine.links.get(NAME)).toMatchObject({ index, alias: `portreeve ${INSTANCE}` });
  });

  it.each(["bridge", "wireguard"] as const)("of our name, a %s of others, is left alone", async (kind) => {
    rig.machine.add(NAME, kind);
    if (kind === "wireguard") rig.machine.device(NAME).privateKey = textOf(generateKeyPair().privateKey);
    const before = JSON.stringify(rig.machine.links.get(NAME));
    const outcomes = await rig.apply([create(rig.link), create(rig.peer("10.59.7.2"))]);
    expect(outcomes).toMatchObject([
      { ok: false, error: { code: "CONFLICT", disposition: "terminal" } },
      { ok: false, error: { code: "UNAVAILABLE" } },
    ]);
    expect(JSON.stringify(rig.machine.links.get(NAME))).toBe(before);
  });

  it("is made anew when nothing serves it any more, and only then", async () => {
    await rig.create(rig.link);
    const index = rig.machine.links.get(NAME)?.index;
    const [observed] = (await rig.target.observe(signal)).values();
    const update = { op: "update", key: "link", desired: desired(rig.link), observed } as Change<
      WireguardRow,
      WireguardObservation
    >;
    rig.machine.faults.set(`wg show ${NAME}`, "EAGAIN");
    await expect(rig.apply([update])).resolves.toMatchObject([{ ok: false, error: { code: "EAGAIN" } }]);
    expect(rig.machine.links.get(NAME)?.index).toBe(index);
    rig.machine.faults.set(`wg show ${NAME}`, "ECONNREFUSED");
    expect(await rig.apply([update])).toEqual([{ key: "link", ok: true }]);
    expect(rig.machine.links.get(NAME)?.index).not.toBe(index);
  });

  it("says in words what to do when a program or a right is missing", async () => {
    rig.machine.faults.set("ip link add", "ENOENT");
    expect(await rig.apply([create(rig.link)])).toMatchObject([
      { error: { code: "ENOENT", message: expect.stringContaining("install wireguard-tools") } },
    ]);
    rig.machine.faults.set("ip link add", "EPERM");
    expect(await rig.apply([create(rig.link)])).toMatchObject([
      { error: { code: "EPERM", message: expect.stringContaining("CAP_NET_ADMIN") } },
    ]);
  });

  it("has the key its row says, or the row is in error", async () => {
    rig.sealed.set("s-link", generateKeyPair().privateKey);
    expect(await rig.apply([create(rig.link)])).toMatchObject([{ key: "link", ok: false, error: { code: "EINVAL" } }]);
  });
});

describe("peers", () => {
  it("are written in one call, however many, and removed in few", async () => {
    await rig.create(rig.link);
    const rows = Array.from({ length: 1000 }, (_, index) => rig.peer(`10.60.${index >> 8}.${index & 255}`));
    const calls = rig.machine.calls.length;
    await rig.create(...rows);
    expect(rig.machine.calls.length - calls).toBeLessThanOrEqual(4);
    const observed = await rig.target.observe(signal);
    const deletion = rows.map(
      (row) => ({ op: "delete", key: keyOf(row), observed: observed.get(keyOf(row)) }) as never,
    );
    const before = rig.machine.calls.length;
    await rig.apply(deletion);
    expect(rig.machine.calls.length - before).toBeLessThanOrEqual(5);
    expect(rig.machine.device(NAME).peers.size).toBe(0);
  });

  it("have no key in any command line", async () => {
    const peer = rig.peer("10.59.7.2");
    await rig.create(rig.link, peer);
    const shown = rig.machine.calls.join("\n");
    for (const secret of rig.sealed.values()) expect(shown).not.toContain(textOf(secret));
  });

  it("lose a preshared key that they should not have", async () => {
    const row = rig.peer("10.59.7.2");
    await rig.create(rig.link, row);
    await rig.create({ ...row, presharedKeySecret: null } as WireguardRow);
    expect([...rig.machine.device(NAME).peers.values()]).toMatchObject([{ presharedKey: null }]);
  });

  it("whose key is our own, or whose sealed key is none, are refused alone", async () => {
    rig.sealed.set("s-broken", new Secret("hello"));
    rig.sealed.set("s-zero", new Secret(Buffer.alloc(32).toString("base64")));
    const rows = [
      rig.peer("10.59.7.2"),
      rig.peer("10.59.7.3", "s-psk", rig.ours.publicKey),
      rig.peer("10.59.7.4", "s-broken"),
      rig.peer("10.59.7.5", "s-zero"),
    ];
    const outcomes = await rig.apply([rig.link, ...rows].map(create));
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, true, false, false, false]);
    expect(JSON.stringify(outcomes)).not.toContain("hello");
  });

  it("are greeted where they were, once, on an interface that was made anew, and on no other", async () => {
    const [known, unknown] = [rig.peer("10.59.7.2"), rig.peer("10.59.7.3")];
    rig.endpoints.set(keyOf(known).slice(5), "11.22.33.2:7");
    await rig.create(rig.link, known, unknown);
    const peers = rig.machine.device(NAME).peers;
    expect([...peers.values()]).toMatchObject([
      { endpoint: "11.22.33.2:7", greetings: 1, persistentKeepalive: 0, allowedIps: ["10.59.7.2/32"] },
      { endpoint: null, greetings: 0, persistentKeepalive: 0, allowedIps: ["10.59.7.3/32"] },
    ]);
    await rig.create(known);
    expect([...peers.values()].map(({ greetings }) => greetings)).toEqual([1, 0]);
  });
});

describe("what others do", () => {
  const drifts: string[] = [];
  let watch: { close(): void } | undefined;
  const noticed = (): Promise<void> =>
    expect.poll(() => drifts.length, { timeout: 2000, interval: 5 }).toBeGreaterThan(0);

  beforeEach(async () => {
    drifts.length = 0;
    await rig.create(rig.link, rig.peer("10.59.7.2"));
    watch = rig.target.watch?.((by) => drifts.push(by));
  });
  afterEach(() => watch?.close());

  it.each<[string, (rig: Rig) => void]>([
    ["another private key", ({ machine }) => (machine.device(NAME).privateKey = textOf(generateKeyPair().privateKey))],
    ["another port", ({ machine }) => (machine.device(NAME).listenPort = 1)],
    [
      "a peer more",
      ({ machine }) =>
        machine.device(NAME).peers.set(generateKeyPair().publicKey, {
          presharedKey: null,
          allowedIps: [],
          endpoint: null,
          persistentKeepalive: 0,
          greetings: 0,
        }),
    ],
    [
      "another preshared key",
      ({ machine }) =>
        [...machine.device(NAME).peers.values()].forEach(
          (peer) => (peer.presharedKey = textOf(generatePresharedKey())),
        ),
    ],
    ["an interface less", ({ machine }) => machine.links.delete(NAME)],
  ])("is noticed and shows in what is observed: %s", async (_, harm) => {
    const before = await rig.target.observe(signal);
    harm(rig);
    await noticed();
    expect(rig.target.unchanged?.()).toBe(false);
    expect(await rig.target.observe(signal)).not.toEqual(before);
  });

  it("is told at once where the interface itself is gone, down, or another", async () => {
    const { index = 0 } = rig.machine.links.get(NAME) ?? {};
    for (const links of [[], [{ name: NAME, index, up: false }], [{ name: NAME, index: index + 1, up: true }]]) {
      await rig.target.observe(signal);
      rig.target.interfacesSeen([{ name: NAME, index, up: true }]);
      expect(drifts.splice(0)).toEqual([]);
      rig.target.interfacesSeen(links);
      expect(drifts.splice(0)).toHaveLength(1);
      expect(rig.target.unchanged?.()).toBe(false);
    }
  });

  it("does not slip by while we write something else", async () => {
    const peers = rig.machine.device(NAME).peers;
    const [first] = [...peers.values()];
    if (first === undefined) throw new Error("there is no peer");
    watch?.close();
    watch = undefined;
    const other = rig.target.watch?.((by) => drifts.push(by));
    first.allowedIps = ["10.9.9.9/32"];
    await rig.create(rig.peer("10.59.7.7"));
    expect(drifts).toHaveLength(1);
    expect(rig.target.unchanged?.()).toBe(false);
    other?.close();
  });
});

it("a teardown removes what bears our mark and nothing else", async () => {
  await rig.create(rig.link, rig.peer("10.59.7.2"));
  rig.machine.add("wg-of-others", "wireguard");
  await removeWireguard("8899aabbccddeeff", rig.machine.run);
  expect([...rig.machine.links.keys()]).toEqual([NAME, "wg-of-others"]);
  await removeWireguard(INSTANCE, rig.machine.run);
  expect([...rig.machine.links.keys()]).toEqual(["wg-of-others"]);
});

it("another instance's interface becomes ours as it is", async () => {
  await rig.create(rig.link, rig.peer("10.59.7.2"));
  const heir = createWireguardTarget({
    instanceId: "8899aabbccddeeff",
    secrets: { open: async () => new Secret("") },
    wanted: () => undefined,
    run: rig.machine.run,
  });
  expect(await heir.observe(signal)).toEqual(new Map());
  const before = JSON.stringify(rig.machine.device(NAME));
  await heir.takeOver(INSTANCE);
  expect((await heir.observe(signal)).size).toBe(2);
  expect(JSON.stringify(rig.machine.device(NAME))).toBe(before);
});
