import { describe, expect } from "vitest";
import { scenario } from "./lab.ts";
import { WAN_GATEWAY } from "./topology.mjs";

const NAT_ADDRESS = "22.33.44.55";
/** On a machine that is busy with other tests. */
const PATIENCE_MS = 120_000;
const request = { protocol: "tcp" as const, internalPort: 8080, suggestedPort: 8080, nonce: "ab".repeat(12) };

describe("flows that an operator's decision ends", () => {
  scenario(
    "[F4] are those of then: a port that was granted anew keeps its flows over a restart",
    { timeoutMs: PATIENCE_MS },
    async (lab) => {
      const client = lab.client();
      await client.listen({ tcp: [8080] });
      await lab.map(client, { ...request, lifetime: 3600 });
      await lab.internet.openStream("old", { host: WAN_GATEWAY, port: 8080 });
      expect(await lab.gateway.cli("port", "remove", "8080/tcp", "--yes")).toMatchObject({ code: 0 });
      await expect(lab.internet.say("old", "anyone?", 700)).rejects.toThrow();

      expect(await lab.map(client, { ...request, lifetime: 3600 })).toMatchObject({ result: 0, externalPort: 8080 });
      await lab.internet.openStream("new", { host: WAN_GATEWAY, port: 8080 });
      // A client that releases its port ends no flow.
      expect(await lab.map(client, { ...request, lifetime: 0 })).toMatchObject({ result: 0 });
      expect(await lab.internet.say("new", "released")).toMatchObject({ payload: "released" });
      await lab.gateway.kill();
      await lab.gateway.start();
      expect(await lab.internet.say("new", "started again")).toMatchObject({ payload: "started again" });
      await expect(lab.internet.say("old", "still?", 700)).rejects.toThrow();
    },
  );

  scenario(
    "[F2] [F4] behind 1:1 NAT are also those of hosts inside, which use the address that clients are told",
    { clients: 2, timeoutMs: PATIENCE_MS, config: { wan: { interfaces: ["wan0"], externalAddress: NAT_ADDRESS } } },
    async (lab) => {
      const [client, other] = [lab.client(0), lab.client(1)];
      await client.listen({ tcp: [8080] });
      const granted = await lab.map(client, { ...request, lifetime: 3600 });
      expect(granted).toMatchObject({ result: 0, externalAddress: NAT_ADDRESS, externalPort: 8080 });
      await other.openStream("hairpin", { host: NAT_ADDRESS, port: 8080 });
      expect(await other.say("hairpin", "before")).toMatchObject({ payload: "before" });
      expect(await lab.gateway.cli("port", "remove", "8080/tcp", "--yes")).toMatchObject({ code: 0 });
      await expect(other.say("hairpin", "after", 700)).rejects.toThrow();
    },
  );
});
