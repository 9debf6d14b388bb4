import { describe, expect } from "vitest";
import type { Port } from "./gateway.mjs";
import { scenario } from "./lab.ts";
import { WAN_GATEWAY } from "./topology.mjs";

describe("an operator", () => {
  scenario("[F1] [A4] adds forwards by hand: single, both protocols, a range, for a limited time", {}, async (lab) => {
    const client = lab.client();
    await client.listen({ tcp: [443, 4000, 50003], udp: [4000] });
    const cli = lab.gateway;
    expect(await cli.cli("port", "add", "8443:443/tcp", client.address, "--label", "web")).toMatchObject({ code: 0 });
    expect(await cli.cli("port", "add", "4000", client.address)).toMatchObject({ code: 0 });
    expect(await cli.cli("port", "add", "50000-50099/tcp", client.address, "--for", "2h")).toMatchObject({ code: 0 });

    await expect.poll(async () => (await cli.ports()).map(({ sync }) => sync)).toEqual(Array(4).fill("synced"));
    const ports = await cli.json<Port[]>("port", "list");
    expect(ports.map((port) => [port.external.port, port.protocol, port.count, port.label, port.source])).toEqual(
      expect.arrayContaining([
        [8443, "tcp", 1, "web", "manual"],
        [4000, "tcp", 1, null, "manual"],
        [4000, "udp", 1, null, "manual"],
        [50000, "tcp", 100, null, "manual"],
      ]),
    );
    const limited = ports.find(({ external }) => external.port === 50000);
    const ends = Date.parse(limited?.expiresAt ?? "");
    expect(ends - Date.now()).toBeGreaterThan(7190_000);
    expect(ends - Date.now()).toBeLessThan(7210_000);

    expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 8443 })).toMatchObject({ by: "c0" });
    expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 4000 })).toMatchObject({ by: "c0" });
    expect(await lab.internet.udp({ host: WAN_GATEWAY, port: 4000 })).toMatchObject({ by: "c0" });
    expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 50003 })).toMatchObject({ by: "c0" });

    expect(await cli.cli("port", "add", "6000-6001:7000/tcp", client.address)).toMatchObject({ code: 0 });
    await client.listen({ tcp: [7001] });
    expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 6001 })).toMatchObject({ by: "c0" });
  });

  scenario("[F2] [F4] removes, disables or blocks a port, and established flows end at once", {}, async (lab) => {
    const client = lab.client();
    await client.listen({ tcp: [8080], udp: [8080] });
    const request = { protocol: "tcp" as const, internalPort: 8080, suggestedPort: 8080, lifetime: 3600 };
    for (const verb of ["remove", "disable", "block"]) {
      const nonce = Buffer.from(verb.padEnd(12, "-")).toString("hex");
      expect(await lab.map(client, { ...request, nonce }), verb).toMatchObject({ result: 0, externalPort: 8080 });
      await lab.internet.openStream(verb, { host: WAN_GATEWAY, port: 8080 });
      expect(await lab.gateway.cli("port", verb, "8080/tcp", "--yes"), verb).toMatchObject({ code: 0 });
      await expect(lab.internet.say(verb, "anyone?", 700), verb).rejects.toThrow();
      expect(await lab.internet.refusedTcp({ host: WAN_GATEWAY, port: 8080 }), verb).not.toBeNull();
      if (verb === "disable") {
        expect(await lab.gateway.cli("port", "enable", "8080/tcp")).toMatchObject({ code: 0 });
        expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 8080 })).toMatchObject({ by: "c0" });
        await lab.gateway.cli("port", "remove", "8080/tcp", "--yes");
      }
      if (verb !== "block") continue;
      expect(await lab.map(client, request)).toMatchObject({ result: 2 }); // NOT_AUTHORIZED, RFC 6887 §7.4
      expect(await lab.natPmpMap(client, request)).toMatchObject({ result: 2 }); // RFC 6886 §3.5
    }
  });

  scenario("[F2] keeps an automatic port: it stays when its client's claim ends", {}, async (lab) => {
    const client = lab.client();
    await client.listen({ tcp: [8080] });
    const request = { protocol: "tcp" as const, internalPort: 8080, suggestedPort: 8080, nonce: "1f".repeat(12) };
    await lab.map(client, { ...request, lifetime: 3600 });
    expect(await lab.gateway.cli("port", "keep", "8080/tcp")).toMatchObject({ code: 0 });
    await lab.map(client, { ...request, lifetime: 0 });
    const kept = [{ external: { port: 8080 }, expiresAt: null, sync: "synced" }];
    await expect.poll(async () => await lab.gateway.ports()).toMatchObject(kept);
    expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 8080 })).toMatchObject({ by: "c0" });
  });

  scenario("[F3] [A4] is told who holds a port, and wins over a device", { clients: 2 }, async (lab) => {
    const [first, second] = [lab.client(0), lab.client(1)];
    await second.listen({ tcp: [80] });
    expect(await lab.gateway.cli("port", "add", "8080:80/tcp", first.address)).toMatchObject({ code: 0 });
    const conflict = await lab.gateway.cli("port", "add", "8080:80/tcp", second.address);
    expect(conflict.code).toBe(4);
    expect(conflict.stderr).toContain(first.address);

    // A device that asks for the operator's port is given another one.
    const reply = await lab.map(second, { protocol: "tcp", internalPort: 80, suggestedPort: 8080, lifetime: 3600 });
    expect(reply?.result).toBe(0);
    expect(reply?.externalPort).not.toBe(8080);
    const open = await lab.internet.tcp({ host: WAN_GATEWAY, port: reply?.externalPort ?? 0 });
    expect(open).toMatchObject({ by: "c1" });
  });
});
