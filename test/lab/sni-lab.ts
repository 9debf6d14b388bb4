import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ProxyLimits } from "../../src/adapters/haproxy/config.ts";
import { REDIRECT_PORT, TLS_PORT } from "../../src/lib/proxy-ports.ts";
import type { SniRow } from "../../src/lib/sni-row.ts";
import type { ForwardRow, GuardRow, RouteRow } from "../../src/reducers/select/rows.ts";
import { Driver } from "./driver.ts";
import { desired, HaproxyDriver } from "./haproxy-driver.ts";
import { create, NftablesDriver } from "./nftables-driver.ts";
import { batch, createTopology, type Host, type Topology, WAN_GATEWAY, WAN_STRANGER } from "./topology.mjs";

export const INSTANCE = "0011223344556677";
export const SEGMENT = "192.168.77.0/24";
const [LANS, WANS] = [["lan0", "lan1"], ["wan0"]];
export const LIMITS: ProxyLimits = { connections: 400, connectionsPerSource: 60, ratePerSource: 500 };

export interface Fetched {
  readonly certificate: string;
  readonly digest: string;
  readonly body: string;
}

export interface Attempt {
  readonly address: string;
  readonly port: number;
  /** base64 */
  readonly bytes: string;
  readonly size?: number;
  readonly everyMs?: number;
}

export interface Said {
  readonly heard: string;
  readonly how: string;
  readonly ms: number;
}

/** Programs that ask a shared port, on a host. */
export class SniClient extends Driver {
  constructor(host: Host) {
    super(host, "sni-client.mjs", []);
  }

  fetch = (name: string, path = "/"): Promise<Fetched> =>
    this.call("fetch", { address: WAN_GATEWAY, port: 443, name, path });
  sayAll = (attempts: readonly Attempt[]): Promise<Said[]> => this.call("sayAll", { attempts });
  begin = (requests: readonly { name: string; path: string }[]): Promise<void> =>
    this.call("begin", { requests: requests.map((request) => ({ address: WAN_GATEWAY, port: 443, ...request })) });
  finish = (): Promise<Fetched[]> => this.call("finish");
  hold = (count: number, forMs: number): Promise<number> =>
    this.call("hold", { address: WAN_GATEWAY, port: 443, count, forMs });
  drop = (): Promise<void> => this.call("drop");
  reaches = (address: string, port: number, withinMs: number): Promise<boolean> =>
    this.call("reaches", { address, port, withinMs });
}

/** HTTPS on 443 with a certificate of its own name, and on 9000 whoever speaks is told that name. */
export class SniBackend extends Driver {
  constructor(host: Host, name: string, folder: string) {
    super(host, "sni-backend.mjs", [name, folder]);
  }

  dialled = (): Promise<number> => this.call("dialled");
  /** What goes on without end says nothing for a while. */
  pause = (): Promise<void> => this.call("pause");
  finish = (): Promise<void> => this.call("finish");
}

/** A gateway with the kernel's part of a shared port, three backends behind it and clients all around. */
export class SniLab {
  readonly topology: Topology;
  readonly folder: string;
  readonly backends = new Map<string, SniBackend>();
  readonly internet: SniClient;
  readonly peer: SniClient;
  readonly neighbour: SniClient;
  readonly otherLan: SniClient;
  readonly nftables: NftablesDriver;
  /** What is in the routing tables for the way back. */
  returnPath: readonly RouteRow[] = [];
  haproxy: HaproxyDriver;

  private constructor(topology: Topology, folder: string) {
    this.topology = topology;
    this.folder = folder;
    this.internet = new SniClient(topology.internet);
    this.peer = new SniClient(topology.peers[0] as Host);
    this.neighbour = new SniClient(topology.clients[3] as Host);
    this.otherLan = new SniClient(topology.lan1Client as Host);
    this.nftables = new NftablesDriver(topology.gateway, INSTANCE);
    this.haproxy = this.control();
  }

  static async open(): Promise<SniLab> {
    const topology = await createTopology({ clients: 4, lan1: true, peers: 1 });
    const lab = new SniLab(topology, mkdtempSync(join(tmpdir(), "portreeve-sni-")));
    await topology.gateway.exec("sysctl", "-qw", "net.ipv4.ip_forward=1");
    // As where there are several WANs: what is for somebody outside leaves by the one that its flow came in by.
    await batch(topology.gateway.namespace, [
      `rule add priority 19100 fwmark 0x04000000/0xfc000000 lookup 19101`,
      `route add default via ${WAN_STRANGER} dev wan0 table 19101`,
    ]);
    for (const name of ["one", "two", "three"]) {
      makeCertificate(lab.folder, name);
      lab.backends.set(name, new SniBackend(lab.host(name), name, lab.folder));
    }
    const forward = { kind: "forward", address: WAN_GATEWAY, protocol: "tcp", toAddress: WAN_GATEWAY } as const;
    const rows: ForwardRow[] = [
      { kind: "skeleton", instanceId: INSTANCE, wans: WANS, lans: LANS, vias: [1], usualVia: 1, proxied: true },
      { ...forward, port: 443, toPort: TLS_PORT },
      { ...forward, port: 9000, toPort: TLS_PORT },
      { ...forward, port: 80, toPort: REDIRECT_PORT },
    ];
    const guard: GuardRow = { kind: "guard", instanceId: INSTANCE, wans: WANS, lans: LANS, requestsPerSecond: 50 };
    const outcomes = [
      ...(await lab.nftables.apply("guard", [create(guard)])),
      ...(await lab.nftables.apply("forwards", rows.map(create))),
    ];
    const failed = outcomes.filter((outcome) => !outcome.ok);
    if (failed.length > 0) throw new Error(JSON.stringify(failed));
    lab.returnPath = await lab.haproxy.returnPath(LANS);
    return lab;
  }

  /** A controller of the HAProxy, beside or after others. */
  control(): HaproxyDriver {
    return new HaproxyDriver(this.topology.gateway, INSTANCE, this.folder, {
      limits: LIMITS,
      answerWithinMs: 300,
    });
  }

  host(name: string): Host {
    return this.topology.clients[["one", "two", "three"].indexOf(name)] as Host;
  }

  get socket(): string {
    return join(this.folder, `haproxy-${INSTANCE}/admin/socket`);
  }

  proxy = (): SniRow => ({ kind: "proxy", instanceId: INSTANCE, segments: [SEGMENT] });

  route(name: string, backend: string, port = 443): SniRow {
    return { kind: "route", address: WAN_GATEWAY, port, name, ...this.towards(backend, port) };
  }

  fallback(backend: string, port = 443): SniRow {
    return { kind: "fallback", address: WAN_GATEWAY, port, ...this.towards(backend, port) };
  }

  towards = (backend: string, toPort: number) =>
    ({ toAddress: this.host(backend).address, toPort, source: "keep" }) as const;

  /** Resolves when HAProxy has these rows, with what failed. */
  async want(rows: readonly SniRow[]): Promise<Record<string, unknown>> {
    return await this.haproxy.settled(await this.haproxy.want(rows.map(desired)));
  }

  async close(): Promise<void> {
    const { internet, peer, neighbour, otherLan, nftables, haproxy } = this;
    await haproxy.teardown().catch(() => undefined);
    for (const driver of [internet, peer, neighbour, otherLan, nftables, haproxy, ...this.backends.values()]) {
      await driver.close();
    }
    await this.topology.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function makeCertificate(folder: string, name: string): void {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const files = ["-keyout", `${folder}/${name}.key`, "-out", `${folder}/${name}.crt`];
  execFileSync("openssl", ["req", "-x509", ...key, "-subj", `/CN=${name}`, "-days", "30", ...files], {
    stdio: "ignore",
  });
}
