import { describe, expect } from "vitest";
import { eventually, scenario } from "./lab.ts";
import { startMapLoad } from "./map-load.mjs";
import { encodeMap } from "./programs/pcp-wire.mjs";
import { addressAfter, batch, WAN_GATEWAY, WAN_STRANGER } from "./topology.mjs";

const MAPPINGS = 1000;
const NEW_ADDRESS = "11.22.33.9";

describe("the WAN address", () => {
  const addresses = Array.from({ length: 50 }, (_, index) => addressAfter("192.168.77.2", index));

  scenario(
    `[P2] [P8] [F4] changes: ${MAPPINGS} mappings follow by one event, never old and new open together; clients are told`,
    { clients: 2, clientAddresses: addresses.slice(2).map((each) => `${each}/24`), timeoutMs: 120_000 },
    async (lab) => {
      const [client, listener] = [lab.client(0), lab.client(1)];
      await client.listen({ tcp: [4000] });
      await listener.listenUp("announcements", 5350, "224.0.0.1");
      await listener.listenUp("updates", 15351);
      const own = encodeMap({
        client: listener.address,
        protocol: "udp",
        internalPort: 777,
        suggestedPort: 777,
        lifetime: 3600,
        nonce: "77".repeat(12),
      });
      await listener.sendFromEar("updates", lab.server, own);
      const sources = addresses.filter((address) => address !== listener.address);
      await startMapLoad(client.host, {
        server: lab.server,
        addresses: sources,
        protocol: "tcp",
        firstInternalPort: 4000,
        firstSuggestedPort: 10_000,
        count: MAPPINGS,
        inFlight: 16,
        lifetime: 7200,
      }).done;
      const before = await lab.gateway.ports();
      expect(before).toHaveLength(MAPPINGS + 1);
      expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 10_000 })).toMatchObject({ by: "c0" });
      const seqBefore = await lab.gateway.headSeq();
      const announcedBefore = (await listener.heard("announcements")).length;

      await batch(lab.topology.gateway.namespace, [
        `address del ${WAN_GATEWAY}/24 dev wan0`,
        `address add ${NEW_ADDRESS}/24 dev wan0`,
        `route replace default via ${WAN_STRANGER} dev wan0`,
      ]);
      lab.wanAddress = NEW_ADDRESS;
      await batch(lab.topology.internet.namespace, [`route replace 192.168.77.0/24 via ${NEW_ADDRESS} dev wan0`]);

      let both = 0;
      await eventually(async () => {
        const listed = await lab.topology.gateway.exec("nft", "-s", "list", "ruleset");
        const [oldOpen, newOpen] = [WAN_GATEWAY, NEW_ADDRESS].map((each) => listed.includes(`${each} . tcp . 10000`));
        if (oldOpen === true && newOpen === true) both += 1;
        expect({ oldOpen, newOpen }).toEqual({ oldOpen: false, newOpen: true });
      }, 15_000);
      expect(both, "listings in which both addresses were open").toBe(0);
      expect(await lab.internet.tcp({ host: NEW_ADDRESS, port: 10_000 })).toMatchObject({ by: "c0" });

      const after = await lab.gateway.ports();
      const place = (ports: typeof after) => ports.map((port) => `${port.id} ${port.external.port}`).sort();
      expect(place(after)).toEqual(place(before));
      expect(new Set(after.map((port) => port.external.address))).toEqual(new Set([NEW_ADDRESS]));
      const types = (await lab.gateway.eventsAfter(seqBefore)).map(({ type }) => type);
      expect(types.filter((type) => type === "interface.observed")).toHaveLength(1);
      expect(types.filter((type) => type.startsWith("mapping.") || type.startsWith("lease."))).toEqual([]);

      await eventually(async () => {
        const heard = (await listener.heard("announcements")).slice(announcedBefore);
        const told = heard.filter(({ version, externalAddress }) => version === 0 && externalAddress === NEW_ADDRESS);
        expect(told.length, "NAT-PMP address announcements (RFC 6886 §3.2.1)").toBeGreaterThanOrEqual(3);
        expect(
          heard.some(({ version, opcode }) => version === 2 && opcode === 0),
          "PCP ANNOUNCE",
        ).toBe(true);
        const updates = (await listener.heard("updates")).filter((each) => each.externalAddress === NEW_ADDRESS);
        expect(updates[0], "Mapping Update (RFC 6887 §14.2)").toMatchObject({
          nonce: "77".repeat(12),
          externalPort: 777,
        });
      }, 10_000);
    },
  );

  scenario("[F4] interface goes and comes back with another index: forwards and sockets follow", {}, async (lab) => {
    const client = lab.client();
    await client.listen({ tcp: [8080] });
    const request = {
      protocol: "tcp" as const,
      internalPort: 8080,
      suggestedPort: 8080,
      lifetime: 3600,
      nonce: "cd".repeat(12),
    };
    await lab.map(client, request);
    const { gateway, internet } = lab.topology;
    await batch(gateway.namespace, ["link del wan0"]);
    await batch(gateway.namespace, [
      `link add wan0 type veth peer name wan0 netns ${internet.namespace}`,
      `address add ${WAN_GATEWAY}/24 dev wan0`,
      "link set wan0 up",
    ]);
    await batch(internet.namespace, [
      `address add ${WAN_STRANGER}/24 dev wan0`,
      "link set wan0 up",
      `route add 192.168.77.0/24 via ${WAN_GATEWAY} dev wan0`,
    ]);
    await batch(gateway.namespace, [`route add default via ${WAN_STRANGER} dev wan0`]);
    await eventually(async () => {
      expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 8080 })).toMatchObject({ by: "c0" });
    }, 10_000);
    expect(await lab.map(client, request)).toMatchObject({ result: 0, externalPort: 8080 });
    // A new interface has the machine's defaults, though its name and addresses are what they were.
    await eventually(async () => {
      expect((await gateway.exec("sysctl", "-n", "net.ipv4.conf.wan0.rp_filter")).trim()).toBe("1");
    });
  });

  scenario("[P13] LAN interface goes and comes back: it is served again within two seconds", {}, async (lab) => {
    const client = lab.client();
    const { gateway, lanSwitch } = lab.topology;
    await batch(gateway.namespace, ["link del lan0"]);
    await batch(gateway.namespace, [
      `link add lan0 type veth peer name gw netns ${lanSwitch.namespace}`,
      `address add ${lab.server}/24 dev lan0`,
      "link set lan0 up",
    ]);
    await batch(lanSwitch.namespace, ["link set gw master br0 up"]);
    const back = performance.now();
    // One nonce: an answer that came too late for one try is that of the next.
    const request = { protocol: "tcp", internalPort: 8080, lifetime: 3600, nonce: "0102030405060708090a0b0c" } as const;
    await eventually(async () => {
      const reply = await lab.map(client, request, 400);
      expect(reply).toMatchObject({ result: 0 });
    }, 10_000);
    expect(performance.now() - back).toBeLessThan(4000);
  });
});
