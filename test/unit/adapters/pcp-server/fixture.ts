import { NO_DNS } from "../../reducers/given.ts";
import type { Listener } from "../../../../src/lib/served-address.ts";
import { createPcpServer, type PcpServer } from "../../../../src/adapters/pcp-server/server.ts";
import type { Clients } from "../../../../src/adapters/pcp-server/standing.ts";
import { event, type PortreeveRecord } from "../../../../src/events/index.ts";
import type { Claim, PeerFilter } from "../../../../src/events/mapping.ts";
import { ManualClock } from "../../../../src/lib/manual-clock.ts";
import { RequestLog } from "../../../../src/lib/request-log.ts";
import { emptyTable, tableSet } from "../../../../src/lib/table.ts";
import { DEFAULT_SETTINGS, type Mapping, type State } from "../../../../src/reducers/state.ts";
import { FakeController } from "./fake-controller.ts";
import { FakeSockets } from "./fake-sockets.ts";

export const LAN0: Listener = { interface: "lan0", address: "192.168.77.1", ifindex: 3, subnet: "192.168.77.0/24" };
export const LAN1: Listener = { interface: "lan1", address: "192.168.78.1", ifindex: 4, subnet: "192.168.78.0/24" };
export const CLIENT = { address: "192.168.77.2", port: 50_000 };
export const NONCE = "0102030405060708090a0b0c";

/** A server with everything around it in the test's hand. It began 1,000 s ago; its epoch 100 s before that. */
export class Fixture {
  readonly clock = new ManualClock(2_000_000);
  readonly controller = new FakeController();
  readonly sockets = new FakeSockets();
  readonly requestLog = new RequestLog();
  readonly warnings: string[] = [];
  readonly server: PcpServer;
  /** Addresses of registered devices that have a WAN of their own, and that one's address. */
  readonly ownAddresses = new Map<string, string>();
  /** Served interfaces that nothing is multicast on. */
  readonly tunnels = new Set<string>();

  constructor(change: Partial<State> = {}) {
    const { controller } = this;
    controller.state = {
      ...controller.state,
      run: { ...controller.state.run, startedAt: 1_000_000 },
      settings: {
        ...DEFAULT_SETTINGS,
        wan: { interfaces: ["wan0"], externalAddress: "auto" },
        lan: [
          { interface: "lan0", nonce: "strict", devices: "any", ...NO_DNS },
          { interface: "lan1", nonce: "strict", devices: "any", ...NO_DNS },
        ],
      },
      wanAddresses: { wan0: { reported: "11.22.33.1", matched: "11.22.33.1" } },
      epochs: {
        lan0: { startedAt: 900_000, reason: "first served" },
        lan1: { startedAt: 900_000, reason: "first served" },
      },
      ...change,
    };
    this.server = createPcpServer({
      controller,
      clock: this.clock,
      requestLog: this.requestLog,
      log: { info: () => undefined, warn: (_, message) => this.warnings.push(message) },
      clients: this.#clients(),
      sniAvailable: () => false,
      ipv4Of: async () => null,
      openSocket: this.sockets.open,
    });
  }

  #clients(): Clients {
    const ofWan: Clients["ofWan"] = (state, wan) => state.wanAddresses[wan]?.reported ?? null;
    return {
      ofWan,
      ofClient: (state, _served, client) => this.ownAddresses.get(client ?? "") ?? ofWan(state, "wan0"),
      asksForOthers: () => false,
      hearsMulticast: (_state, served) => !this.tunnels.has(served),
      toldAlone: () => [...this.ownAddresses.keys()],
      moved: (before, after) =>
        before.devices === after.devices
          ? []
          : [...this.ownAddresses.keys()].map((address) => ({ interface: null, address })),
    };
  }

  /** Lets what is due now and all promises run, then time pass. */
  async advance(byMs: number): Promise<void> {
    await this.rest();
    this.clock.advance(byMs);
    await this.rest();
  }

  async rest(): Promise<void> {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  }

  /** What went to a destination, oldest first. */
  sentTo(to: string, address = LAN0.address): string[] {
    return this.sockets
      .at(address)
      .sent.filter((each) => each.to === to)
      .map(({ bytes }) => bytes);
  }

  /** The WAN has another address: the state as the reducers make it. */
  moveWan(reported: string): void {
    const { state } = this.controller;
    const now = this.clock.now();
    const epoch = { startedAt: now, reason: `external address changed to ${reported}` };
    this.controller.publish({
      topologyRevision: state.topologyRevision + 1,
      wanAddresses: { wan0: { reported, matched: reported } },
      epochs: { lan0: epoch, lan1: epoch },
    });
  }

  /** Puts mappings of the client into the state, one PCP claim each that ends in 600 s. */
  giveMappings(
    ports: readonly number[],
    nonce = NONCE,
    {
      count = 1,
      filters = [],
      name = null,
      insistsOn,
    }: { count?: number; filters?: PeerFilter[]; name?: string | null; insistsOn?: Claim["insistsOn"] } = {},
  ): void {
    const mappings = emptyTable<Mapping>();
    for (const port of ports) {
      const id = `m${port.toString(16).padStart(12, "0")}`;
      const expiresAt = this.clock.now() + 600_000;
      this.controller.ends.set(`${id} pcp:${nonce}`, expiresAt);
      tableSet(mappings, id, {
        id,
        wan: "wan0",
        protocol: "tcp",
        externalPort: port,
        internalAddress: CLIENT.address,
        internalPort: port,
        host: null,
        count,
        interface: "lan0",
        label: null,
        enabled: true,
        sourceAddress: null,
        from: [],
        name,
        createdAt: 0,
        createdSeq: 1,
        specRevision: 1,
        revision: 1,
        claims: [
          {
            key: `pcp:${nonce}`,
            source: "pcp",
            device: CLIENT.address,
            nonce,
            clientPort: 40_000,
            lifetime: 600,
            expiresAt,
            filters,
            description: null,
            enabled: true,
            ...(insistsOn !== undefined && { insistsOn }),
          },
        ],
      });
    }
    this.controller.publish({ mappings });
  }
}

/** A record as the log would make it; only its event matters here. */
export function recordOf(...from: Parameters<typeof event>): PortreeveRecord {
  const envelope = { seq: 1, at: 0, source: "test", requestId: "r", causedBy: null, prevHash: "", hash: "" };
  return { ...envelope, event: event(...from) };
}
