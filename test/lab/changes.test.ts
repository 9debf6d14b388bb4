import { describe, expect } from "vitest";
import { eventually, scenario } from "./lab.ts";
import { WAN_GATEWAY } from "./topology.mjs";

interface Plan {
  readonly checks: readonly {
    readonly reconciler: string;
    readonly refused: readonly unknown[];
    readonly unchecked: null;
  }[];
}

/** Longer than a busy machine needs from the change to the kill. */
const TRIAL_SECONDS = 15;

describe("an operator's change", () => {
  scenario(
    "[E4] is planned with the kernel's own word, and the kernel is as it was",
    { needs: ["nft"] },
    async (lab) => {
      const client = lab.client();
      const ruleset = async () => await lab.topology.gateway.exec("nft", "-s", "list", "ruleset");
      await lab.gateway.cli("port", "add", "9000/tcp", client.address);
      const before = await ruleset();
      const planned = await lab.gateway.cli("plan", "port", "add", "8443:443/tcp", client.address, "--json");
      expect(planned.code).toBe(10);
      const { checks } = JSON.parse(planned.stdout) as Plan;
      expect(checks).toEqual([{ reconciler: "nftables-forwards", refused: [], unchecked: null }]);
      expect(await ruleset()).toEqual(before);
      // What was only asked about is not taken for something that is there.
      expect(await lab.gateway.cli("port", "add", "8443:443/tcp", client.address)).toMatchObject({ code: 0 });
      await client.listen({ tcp: [443] });
      expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 8443 })).toMatchObject({ by: "c0" });
      const range = await lab.gateway.cli("plan", "port", "remove", "8443/tcp", "--json");
      expect((JSON.parse(range.stdout) as Plan).checks[0]?.refused).toEqual([]);
    },
  );

  scenario("[E5] is undone and redone, packets and all", {}, async (lab) => {
    const client = lab.client();
    await client.listen({ tcp: [8080] });
    const content = async () => (await lab.gateway.json<{ contentHash: string }>("state", "show")).contentHash;
    await lab.map(client, { protocol: "tcp", internalPort: 8080, suggestedPort: 8080, lifetime: 3600 });
    const before = await content();
    expect(await lab.gateway.cli("port", "remove", "8080/tcp", "--yes")).toMatchObject({ code: 0 });
    expect(await lab.internet.refusedTcp({ host: WAN_GATEWAY, port: 8080 })).not.toBeNull();
    expect(await lab.gateway.cli("undo")).toMatchObject({ code: 0 });
    expect(await content()).toBe(before);
    expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 8080 })).toMatchObject({ by: "c0" });
    // Its own client knows of nothing: the same mapping, the same nonce.
    const [port] = await lab.gateway.ports();
    expect(port).toMatchObject({ source: "pcp", external: { port: 8080 } });
    expect(await lab.gateway.cli("undo")).toMatchObject({ code: 0 });
    expect(await lab.gateway.ports()).toEqual([]);
  });

  scenario(
    "[E5] that nobody confirms is taken back, though the controller is killed and starts after the deadline",
    { timeoutMs: 240_000 },
    async (lab) => {
      const client = lab.client();
      await client.listen({ tcp: [443, 8080, 9000] });
      await lab.gateway.cli("port", "add", "9000/tcp", client.address);
      // While it runs.
      const shut = await lab.gateway.cli("port", "disable", "9000/tcp", "--confirm-within", "2s");
      expect(shut.stderr).toContain("portreeve confirm c");
      await eventually(async () => {
        const types = (await lab.gateway.json<{ type: string }[]>("events", "list")).map(({ type }) => type);
        expect(types.slice(-4)).toEqual([
          "mapping.changed",
          "confirmation.awaited",
          "mapping.changed",
          "confirmation.lapsed",
        ]);
      }, 20_000);
      expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 9000 })).toMatchObject({ by: "c0" });

      // Killed before the deadline, started after it.
      const added = await lab.gateway.cli(
        "port",
        "add",
        "8443:443/tcp",
        client.address,
        "--confirm-within",
        `${TRIAL_SECONDS}s`,
        "--json",
      );
      expect(added.code).toBe(0);
      const [, id = ""] = /portreeve confirm (c[0-9a-f]{12})/.exec(added.stderr) ?? [];
      await lab.gateway.kill();
      expect(
        await lab.internet.tcp({ host: WAN_GATEWAY, port: 8443 }),
        "forwards outlive the controller",
      ).toMatchObject({ by: "c0" });
      const deadline = performance.now() + TRIAL_SECONDS * 1000;
      await eventually(async () => expect(performance.now()).toBeGreaterThan(deadline), 60_000);
      await lab.gateway.start();
      // At `ready` it is done: nothing is awaited here.
      expect((await lab.gateway.ports()).map(({ external }) => external.port)).toEqual([9000]);
      expect(await lab.internet.refusedTcp({ host: WAN_GATEWAY, port: 8443 })).not.toBeNull();
      const events = await lab.gateway.json<{ type: string; source: string; data: { id: string } }[]>("events", "list");
      const lapsed = events.findLast(({ type }) => type === "confirmation.lapsed");
      expect(lapsed).toMatchObject({ source: "clock", data: { id } });

      // Killed and started in time, it still waits; a confirmation then keeps it.
      await lab.gateway.cli("port", "add", "8080/tcp", client.address, "--confirm-within", "1h");
      await lab.gateway.kill();
      await lab.gateway.start();
      expect((await lab.gateway.cli("status")).stdout).toContain("port 8080/tcp is undone in");
      expect(await lab.gateway.cli("confirm")).toMatchObject({ code: 0 });
      expect((await lab.gateway.ports()).map(({ external }) => external.port).sort((a, b) => a - b)).toEqual([
        8080, 9000,
      ]);
    },
  );

  scenario("[E6] explains what is in the kernel, and what was", {}, async (lab) => {
    const client = lab.client();
    await lab.map(client, { protocol: "tcp", internalPort: 8080, suggestedPort: 8080, lifetime: 3600 });
    const key = `forward|${WAN_GATEWAY}|tcp|8080`;
    const why = async (...words: string[]) => (await lab.gateway.cli("why", ...words)).stdout;
    expect(await why("element", key)).toContain(`${client.address} by pcp`);
    expect(await why("sysctl", "net.ipv4.ip_forward")).toContain("the configuration file");
    await lab.gateway.cli("port", "remove", "8080/tcp", "--yes");
    expect(await why("element", key)).toContain("(lease.released by api:socket");
    expect(await why("port", "8080/tcp")).toContain("is gone since record");
  });
});
