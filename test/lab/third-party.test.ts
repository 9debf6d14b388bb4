import { expect } from "vitest";
import { eventually, type Lab, scenario } from "./lab.ts";
import { newNonce } from "./programs/pcp-wire.mjs";
import { WAN_GATEWAY, WAN_STRANGER } from "./topology.mjs";

/** THIRD_PARTY, RFC 6887 §13.1: code 1, 16 octets, an IPv4-mapped address. */
function inThePlaceOf(address: string): string {
  const octets = address.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
  return `01000010${"0".repeat(20)}ffff${octets.join("")}`;
}

scenario(
  "[P4] [P11] a device that an operator lets may open ports of another host by THIRD_PARTY, until it may no more; nobody else may",
  { clients: 3 },
  async (lab) => {
    const { gateway } = lab;
    const [hub, nas, other] = lab.clients;
    if (hub === undefined || nas === undefined || other === undefined) throw new Error("no clients");
    await nas.listen({ tcp: [8080] });
    const nonce = newNonce();
    const place = { protocol: "tcp", internalPort: 8080, suggestedPort: 8080, lifetime: 3600, nonce } as const;
    const ask = (client = hub, target = nas, lifetime = 3600) =>
      lab.map(client, { ...place, lifetime, options: inThePlaceOf(target.address) });
    expect(await ask(), "nobody lets it").toMatchObject({ result: 5, lifetime: 1800 });

    const place0 = ["--lan", "lan0", "--ip", hub.address];
    const added = await gateway.cli("device", "add", "hub", "--kind", "server", ...place0, "--maps-for", nas.address);
    expect(added).toMatchObject({ code: 0 });
    expect((await gateway.cli("device", "show", "hub")).stdout).toContain(`${nas.address}/32`);
    const options = inThePlaceOf(nas.address);
    expect(await ask()).toMatchObject({ result: 0, externalPort: 8080, lifetime: 3600, options });
    await reached(lab, nas.address);
    expect(await ask(), "renewed").toMatchObject({ result: 0, externalPort: 8080, options });
    expect(await ask(hub, other), "another host").toMatchObject({ result: 5 });
    expect(await ask(hub, hub), "itself").toMatchObject({ result: 3 });
    expect(await ask(other), "another asks").toMatchObject({ result: 5 });
    expect(await ask(other, nas, 0), "another gives back").toMatchObject({ result: 5 });
    await reached(lab, nas.address);

    expect(await ask(hub, nas, 0)).toMatchObject({ result: 0, lifetime: 0, options });
    await closed(lab);
    expect(await ask()).toMatchObject({ result: 0 });
    expect(await gateway.cli("device", "edit", "hub", "--maps-for", "none")).toMatchObject({ code: 0 });
    await closed(lab);
    expect(await ask()).toMatchObject({ result: 5 });
  },
);

async function reached(lab: Lab, address: string): Promise<void> {
  const visit = await lab.internet.tcp({ host: WAN_GATEWAY, port: 8080, payload: "who" });
  expect(visit).toMatchObject({ by: "c1", sawAddress: WAN_STRANGER });
  const [port] = await lab.gateway.ports();
  expect(port).toMatchObject({ internal: { address, port: 8080 }, source: "pcp" });
}

async function closed(lab: Lab): Promise<void> {
  await eventually(async () => expect(await lab.gateway.ports()).toEqual([]));
  const visit = await lab.internet
    .tcp({ host: WAN_GATEWAY, port: 8080, payload: "who", timeoutMs: 500 })
    .catch(() => null);
  expect(visit).not.toMatchObject({ by: "c1" });
}
