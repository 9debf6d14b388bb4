import { readdirSync } from "node:fs";
import { Agent, type ClientRequest, request } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect } from "vitest";
import { eventually, type Lab, scenario } from "./lab.ts";
import { startMapLoad } from "./map-load.mjs";

const SLOW = fileURLToPath(new URL("programs/slow-connections.py", import.meta.url));

interface Status {
  readonly seq: number;
  readonly warnings: string[];
}

/** Asks for the stream of events and holds it; resolves with the status, 0 if the connection was not taken. */
function openStream(lab: Lab, held: ClientRequest[]): Promise<number> {
  return new Promise((resolve) => {
    const path = "/api/v1/events/stream";
    const call = request({ socketPath: lab.gateway.socket, path, agent: false }, (response) => {
      response.resume();
      response.on("error", () => undefined);
      resolve(response.statusCode ?? 0);
    });
    call.on("error", () => resolve(0));
    call.end();
    held.push(call);
  });
}

/** Ten mappings, then renewals; as a client does that knows nothing of what happens to the gateway. */
function startGoodClient(lab: Lab, renewals: number, client = lab.client()) {
  return startMapLoad(client.host, {
    server: lab.server,
    addresses: [client.address],
    protocol: "udp",
    firstInternalPort: 4000,
    firstSuggestedPort: 5400,
    count: 10,
    inFlight: 2,
    perSecond: 10,
    lifetime: 7200,
    renewals,
    resendMs: 3000,
    resendMaxMs: 8000,
  });
}

/** The warnings of `status` over a connection that stays open. */
function warningsOver(lab: Lab, agent: Agent): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: lab.gateway.socket, path: "/api/v1/status", agent }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve((JSON.parse(text) as Status).warnings));
    });
    call.on("error", reject);
    call.end();
  });
}

const openFiles = (lab: Lab): number => readdirSync(`/proc/${lab.gateway.pid}/fd`).length;
const options = { timeoutMs: 90_000, config: { log: { level: "warn" } } };

describe("the gateway, short of something", () => {
  scenario("300 event streams leave room for the command line", options, async (lab) => {
    const held: ClientRequest[] = [];
    const statuses = await Promise.all(Array.from({ length: 300 }, () => openStream(lab, held)));
    expect(statuses.filter((status) => status === 200)).toHaveLength(128);
    expect(statuses).toContain(503);
    expect((await lab.gateway.cli("status")).code).toBe(0);
    for (const call of held) call.destroy();
    await eventually(async () => expect(await openStream(lab, held)).toBe(200));
    for (const call of held) call.destroy();
  });

  scenario(
    "F35 thousands of slow connections to the API hold up neither clients nor the socket",
    options,
    async (lab) => {
      const before = openFiles(lab);
      const slow = lab.topology.gateway.spawn(["/usr/bin/python3", SLOW, "3000", "10", "8351"], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const lines = createInterface({ input: slow.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
      expect((await lines.next()).value).toBe("slow");
      const good = startGoodClient(lab, 7000);
      await eventually(async () => expect(openFiles(lab)).toBeGreaterThan(before + 100));
      expect((await lab.gateway.cli("status")).code).toBe(0);
      expect(openFiles(lab), "connections are bounded").toBeLessThan(before + 256 + 32);
      const { mapping, renewing } = await good.done;
      console.log(`p99 ${mapping.p99.toFixed(1)}, ${renewing?.p99.toFixed(1)} ms; ${openFiles(lab)} open files`);
      expect(mapping.late + (renewing?.late ?? 0)).toBe(0);
      expect(Number((await lines.next()).value)).toBeGreaterThan(256);
      await eventually(async () => {
        const text = await lab.topology.gateway.exec("curl", "-sS", "-m", "2", "http://127.0.0.1:8351/healthz");
        expect(JSON.parse(text)).toEqual({ ok: true });
      }, 15_000);
      await eventually(async () => expect(openFiles(lab)).toBeLessThan(before + 32), 15_000);
    },
  );

  const perDevice = { mappings: 5000, ports: 5000, requestsPerSecond: 1000, eventBurst: 10_000 };
  const many = {
    ...options,
    timeoutMs: 150_000,
    clients: 2,
    config: { ...options.config, portControl: { perDevice } },
  };
  scenario("F35 whole states of 3,000 ports, asked for without end, keep no client waiting", many, async (lab) => {
    await startMapLoad(lab.client().host, {
      server: lab.server,
      addresses: [lab.client().address],
      protocol: "tcp",
      firstInternalPort: 2000,
      firstSuggestedPort: 6000,
      count: 3000,
      inFlight: 32,
      lifetime: 7200,
    }).done;
    const good = startGoodClient(lab, 5000, lab.client(1));
    const statuses: Record<number, number> = {};
    let over = false;
    const ask = async (): Promise<void> => {
      while (!over) {
        const { status } = await lab.gateway.get("/api/v1/state");
        statuses[status] = (statuses[status] ?? 0) + 1;
        if (status === 503) await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    const asking = Array.from({ length: 8 }, ask);
    const { mapping, renewing } = await good.done;
    over = true;
    await Promise.all(asking);
    console.log(`p99 ${mapping.p99.toFixed(1)}, ${renewing?.p99.toFixed(1)} ms;`, statuses);
    expect([mapping.answered, mapping.late, renewing?.late]).toEqual([10, 0, 0]);
    expect(statuses[200]).toBeGreaterThan(1);
    expect(statuses[503]).toBeGreaterThan(1);
  });

  scenario(
    "F32 out of file descriptors: what is served goes on, status says so, and it passes",
    options,
    async (lab) => {
      const limit = async (most: number): Promise<void> => {
        await lab.topology.gateway.exec("prlimit", "--pid", `${lab.gateway.pid}`, `--nofile=${most}:4096`);
      };
      await lab.map(lab.client(), { protocol: "tcp", internalPort: 9000, suggestedPort: 9000, lifetime: 3600 });
      const { seq } = await lab.gateway.json<Status>("status");
      const held: ClientRequest[] = [];
      const line = new Agent({ keepAlive: true, maxSockets: 1 });
      await warningsOver(lab, line);
      await limit(openFiles(lab) + 8);
      const statuses = await Promise.all(Array.from({ length: 30 }, () => openStream(lab, held)));
      expect(statuses).toContain(0);
      // Not one more: the number of what was closed meanwhile is not given again.
      await limit(3);
      const { mapping, renewing, refusals } = await startGoodClient(lab, 6000).done;
      expect(refusals).toEqual({});
      expect([mapping.answered, mapping.late, renewing?.late]).toEqual([10, 0, 0]);
      for (const call of held.splice(0)) call.destroy();
      await limit(4096);
      await eventually(async () => {
        const { warnings } = await lab.gateway.json<Status>("status");
        expect(warnings.filter((each) => each.startsWith("open files"))).toEqual([]);
      });
      expect(lab.gateway.log.join("\n")).toContain("no more files can be opened");
      const after = await lab.gateway.json<Status>("status");
      expect(after.seq, "nothing was taken for gone that could not be looked at").toBe(seq + 10);
      expect((await lab.gateway.ports()).every(({ sync }) => sync === "synced")).toBe(true);
      await lab.onGateway.stopListening({ tcp: [2222] });
    },
  );

  scenario(
    "F31 a process that stood still for ten seconds notices, and keeps what it promised",
    options,
    async (lab) => {
      const client = lab.client();
      await client.listen({ tcp: [9000] });
      const long = { protocol: "tcp", internalPort: 9000, suggestedPort: 9000, lifetime: 3600 } as const;
      expect(await lab.natPmpMap(client, long)).toMatchObject({ result: 0, externalPort: 9000 });
      const short = { protocol: "tcp", internalPort: 9001, suggestedPort: 9001, lifetime: 8 } as const;
      expect(await lab.natPmpMap(client, short)).toMatchObject({ result: 0, externalPort: 9001 });
      process.kill(lab.gateway.pid, "SIGSTOP");
      // Asked in time, and heard after the end of what it renews.
      const renewal = lab.natPmpMap(client, short, 20_000);
      await new Promise((resolve) => setTimeout(resolve, 10_000));
      process.kill(lab.gateway.pid, "SIGCONT");
      expect(await renewal).toMatchObject({ result: 0, externalPort: 9001 });
      expect(await lab.internet.tcp({ host: lab.wanAddress, port: 9000 })).toMatchObject({ by: "c0" });
      const events = await lab.gateway.json<{ type: string; data: { mappingId: string } }[]>("events", "list");
      const mapping = (await lab.gateway.ports()).find(({ external }) => external.port === 9000);
      const ended = events.filter(({ type, data }) => type === "lease.expired" && data.mappingId === mapping?.id);
      expect(ended).toEqual([]);
      await eventually(async () => {
        const { warnings } = await lab.gateway.json<Status>("status");
        expect(warnings).toContainEqual(expect.stringMatching(/^process: stood still for \d+\.\d s/));
      });
      expect((await lab.gateway.get("/metrics")).body).toMatch(/portreeve_stalls_total [1-9]/);
      await client.stopListening({ tcp: [9000] });
    },
  );
});
