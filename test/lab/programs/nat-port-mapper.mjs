// @achingbrain/nat-port-mapper, as js-libp2p uses it: finds a gateway of version 2, maps a port, and gives it back when
// its standard input closes.
import { upnpNat } from "@achingbrain/nat-port-mapper";

const [address = "", port = ""] = process.argv.slice(2);
const signal = AbortSignal.timeout(15_000);
for await (const gateway of upnpNat({ autoRefresh: false }).findGateways({ signal })) {
  const external = await gateway.externalIp({ signal });
  const mapped = await gateway.map(Number(port), address, { signal });
  console.log(JSON.stringify({ external, mapped }));
  for await (const _ of process.stdin);
  await gateway.unmap(Number(port), { signal });
  break;
}
process.exit(0);
