import { afterAll, expect, test } from "vitest";
import { Agent } from "./agent.mjs";
import { listForeignTables, makeForeignTables } from "./foreign-tables.ts";
import { Gateway } from "./gateway.mjs";
import { encodeMap, encodeNatPmpMap, type MapRequest, type Reply } from "./programs/pcp-wire.mjs";
import {
  createTopology,
  findProgram,
  type Host,
  missingForLab,
  type Topology,
  type TopologyOptions,
  WAN_GATEWAY,
} from "./topology.mjs";
import { expectOnlyGrantedPortsOpen } from "./wan-scan.ts";

/** What the daemon is configured with, beside its directories. */
export type Config = Readonly<Record<string, unknown>>;

export interface LabOptions extends TopologyOptions {
  readonly config?: Config;
  /** Of the whole scenario, teardown with its scan included. Default 60 s. */
  readonly timeoutMs?: number;
  /** What others filter on the gateway before we start: some tables of an admin's, unless said. */
  readonly others?: (gateway: Host) => Promise<void>;
  /** Takes back what was changed in tables of others, between the scan and the comparison. */
  readonly restoreOthers?: (lab: Lab) => Promise<void>;
  /** The programs it runs besides ours; without them it is skipped, saying so. */
  readonly needs?: readonly string[];
}

/** internet – gateway – LAN, an agent on each host, and the daemon under test running on the gateway. */
export class Lab {
  readonly topology: Topology;
  readonly gateway: Gateway;
  readonly internet: Agent;
  readonly clients: readonly Agent[];
  readonly lan1Client: Agent | null;
  /** Where there are two providers, a host that both reach. */
  readonly remote: Agent | null;
  /** An agent on the gateway itself: hairpin from there, listeners there. */
  readonly onGateway: Agent;
  /** The gateway's address on the WAN; a scenario that changes it says so here. */
  wanAddress = WAN_GATEWAY;

  constructor(topology: Topology, config: Config) {
    this.topology = topology;
    this.gateway = new Gateway(topology.gateway, {
      lan: [{ interface: "lan0" }, ...(topology.lan1Client === null ? [] : [{ interface: "lan1" }])],
      ...config,
    });
    this.internet = new Agent(topology.internet);
    this.clients = topology.clients.map((host) => new Agent(host));
    this.lan1Client = topology.lan1Client === null ? null : new Agent(topology.lan1Client);
    this.remote = topology.remote === null ? null : new Agent(topology.remote);
    this.onGateway = new Agent(topology.gateway);
  }

  /** The n-th client on lan0. */
  client(index = 0): Agent {
    const client = this.clients[index];
    if (client === undefined) throw new Error(`the lab has no client ${index}`);
    return client;
  }

  get server(): string {
    return this.topology.lanGateway;
  }

  /** A PCP MAP from a client, resent as the RFC says; null if nothing answers. */
  async map(client: Agent, request: Omit<MapRequest, "client">, timeoutMs = 8000): Promise<Reply | null> {
    const bytes = encodeMap({ client: client.address, ...request });
    return await client.pcp({ server: this.server, bytes, timeoutMs });
  }

  async natPmpMap(client: Agent, request: Omit<MapRequest, "client">, timeoutMs = 8000): Promise<Reply | null> {
    return await client.pcp({ server: this.server, bytes: encodeNatPmpMap(request), timeoutMs });
  }

  async close(): Promise<void> {
    for (const agent of [this.internet, this.onGateway, ...this.clients]) agent.close();
    this.lan1Client?.close();
    this.remote?.close();
    await this.gateway.close();
    await this.topology.close();
  }
}

/**
 * A test with a lab of its own. However it ends, its namespaces, processes and files are removed; before that, the WAN
 * is scanned and the tables of others are compared with what they were, so that no scenario can leave that out.
 */
export function scenario(name: string, options: LabOptions, body: (lab: Lab) => Promise<void>): void {
  const timeoutMs = options.timeoutMs ?? 60_000;
  test(name, { timeout: timeoutMs }, async (context) => {
    const missing = missingForLab() ?? missingProgram(options.needs ?? []);
    if (missing !== null) context.skip(missing);
    const topology = await createTopology(options);
    open.add(topology);
    const lab = new Lab(topology, options.config ?? {});
    try {
      await (options.others ?? makeForeignTables)(topology.gateway);
      const foreignBefore = await listForeignTables(topology.gateway);
      await lab.gateway.start();
      await body(lab);
      if (!lab.gateway.running) await lab.gateway.start();
      await expectOnlyGrantedPortsOpen(lab);
      await options.restoreOthers?.(lab);
      expect(await listForeignTables(topology.gateway), "tables of others").toEqual(foreignBefore);
    } catch (error) {
      context.onTestFailed(() => console.error(lab.gateway.log.slice(-25).join("\n")));
      throw error;
    } finally {
      await lab.close();
      open.delete(topology);
    }
  });
}

function missingProgram(needs: readonly string[]): string | null {
  const missing = needs.find((program) => findProgram(program) === null);
  return missing === undefined ? null : `the program "${missing}" is not installed`;
}

/** A test that ran into its timeout leaves its body behind; its namespaces go here. */
const open = new Set<Topology>();
afterAll(async () => {
  for (const topology of open) await topology.close();
});

/** Polls until `check` no longer throws; its last error if that takes too long. For kernels and other processes only. */
export async function eventually<T>(check: () => Promise<T>, timeoutMs = 5000): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}
