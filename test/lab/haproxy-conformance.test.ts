import type { ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe } from "vitest";
import type { SniRow } from "../../src/lib/sni-row.ts";
import type { Target } from "../../src/reconcilers/contract.ts";
import { type SniObservation, sniRoutes } from "../../src/reconcilers/sni-routes.ts";
import { describeTargetConformance } from "../unit/reconcilers/target-conformance.ts";
import { desired, HaproxyDriver, runtimeFolder } from "./haproxy-driver.ts";
import { askHaproxy } from "./haproxy-socket.ts";
import { eventually } from "./lab.ts";
import { createTopology, findProgram, type Host, missingForLab, type Topology, WAN_GATEWAY } from "./topology.mjs";

const INSTANCE = "0011223344556677";
const WATCH_MS = 20;
const missing = missingForLab() ?? (findProgram("haproxy") === null ? "haproxy" : null);

/** `unchanged` answers at once, which no other process can be asked to: tests beside this suite cover it. */
function targetOf(driver: HaproxyDriver): Target<SniRow, SniObservation> {
  return {
    name: "haproxy",
    observe: async () => new Map(Object.entries(await driver.observe())),
    apply: (plan) => driver.apply(plan),
    watch: (onDrift) => {
      void driver.watch();
      const timer = setInterval(async () => {
        for (const by of await driver.drifts()) onDrift(by);
      }, WATCH_MS);
      return { close: () => clearInterval(timer) };
    },
  };
}

/** Somebody's own HAProxy on the same machine. */
function startOther(host: Host, folder: string): ChildProcess {
  const [socket, config, map] = ["other.sock", "other.cfg", "other.map"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(map, `${WAN_GATEWAY}:443/a.example.com elsewhere\n`);
  writeFileSync(
    config,
    [
      "global",
      `  stats socket ${socket} level admin`,
      "frontend theirs",
      "  mode tcp",
      "  bind 127.0.0.1:7000",
      "  timeout client 1s",
      `  tcp-request connection reject unless { src,map_str(${map}) -m found }`,
      "",
    ].join("\n"),
  );
  return host.spawn(["haproxy", "-db", "-f", config], { stdio: "ignore" });
}

const route = (name: string, toAddress: string): SniRow => ({
  kind: "route",
  address: WAN_GATEWAY,
  port: 443,
  name,
  toAddress,
  toPort: 8443,
  source: "keep",
});

describe.skipIf(missing !== null)("a real HAProxy", () => {
  const runtime = runtimeFolder();
  let topology: Topology | null = null;
  let driver: HaproxyDriver | null = null;
  afterAll(async () => {
    await driver?.close();
    await topology?.close();
    runtime.remove();
  });

  const traits = { vouches: false, watches: true, rivals: false, refuses: true };
  describeTargetConformance("the HAProxy target", traits, async () => {
    topology ??= await createTopology({ clients: 0 });
    const { gateway } = topology;
    driver ??= new HaproxyDriver(gateway, INSTANCE, runtime.path);
    const { observe, apply } = driver;
    const socket = join(runtime.path, `haproxy-${INSTANCE}/admin/socket`);
    let other: ChildProcess | null = null;
    const fallback = { kind: "fallback", address: WAN_GATEWAY, port: 443, toAddress: "192.168.77.4", toPort: 443 };
    return {
      target: targetOf(driver),
      matches: sniRoutes(() => {
        throw new Error("nothing is selected here");
      }).matches,
      ground: [desired({ kind: "proxy", instanceId: INSTANCE, segments: ["192.168.77.0/24"] })],
      rows: [
        route("a.example.com", "192.168.77.2"),
        route("*.example.com", "192.168.77.3"),
        { ...fallback, source: "gateway" } as SniRow,
        { kind: "redirect", address: WAN_GATEWAY } as const,
      ].map(desired),
      changedFirst: desired(route("a.example.com", "192.168.77.9")),
      refused: desired(route("a.example.com\0.example.net", "192.168.77.2")),
      tamper: async () => {
        await askHaproxy(socket, `del map /proc/self/fd/3/routes.map ${WAN_GATEWAY}:443/a.example.com`);
      },
      foreign: async () => {
        other ??= startOther(gateway, runtime.path);
        return await eventually(() =>
          askHaproxy(join(runtime.path, "other.sock"), `show map ${runtime.path}/other.map`),
        );
      },
      close: async () => {
        other?.kill("SIGKILL");
        const observed = (await observe())["proxy"];
        if (observed !== undefined) await apply([{ op: "delete", key: "proxy", observed }]);
      },
    };
  });
});
