import { describe, expect, it } from "vitest";
import type { Client, Reply } from "../../../../src/adapters/dns-server/thread/answers/exchange.ts";
import { QueryLog } from "../../../../src/adapters/dns-server/thread/answers/query-log.ts";
import { zoneData } from "./zone.ts";
import { edns, query, Rig } from "./rig.ts";

const listener = { view: "home", interface: "home", address: "10.59.0.1", port: 53, ifindex: 2 };
const client: Client = { listener, address: "10.59.0.2", port: 4000, transport: "udp" };

describe("the query log", () => {
  const logged = async (bytes: Uint8Array): Promise<string | undefined> => {
    const rig = new Rig(zoneData(["home.arpa"], { "nas.home.arpa": ["A 10.59.0.2"] }));
    const log = new QueryLog();
    log.on = true;
    await log.around((asked): Promise<Reply> => rig.raw(asked))(bytes, client);
    return log.take()[0]?.rcode;
  };

  it("has the whole rcode, of which twelve bits may be set", async () => {
    expect(await logged(query("nas.home.arpa", "A", { edns: edns() }))).toBe("NOERROR");
    expect(await logged(query("no.home.arpa", "A", { edns: edns() }))).toBe("NXDOMAIN");
    expect(await logged(query("nas.home.arpa", "A", { edns: edns({ version: 1 }) }))).toBe("BADVERS");
  });
});
