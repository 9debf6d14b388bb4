import { parseIpv4 } from "../../lib/ip.ts";
import { Collection } from "./collection.ts";
import { ImportError } from "./error.ts";
import type { Imported } from "./model.ts";

const TEXT_MAX = 8 << 20;

/** miniupnpd, upnpredirect.c `lease_file_add`: PROTOCOL:external port:address:port:end:description, one a line. */
const LINE = /^(TCP|UDP):(\d{1,5}):([0-9.]{7,15}):(\d{1,5}):(\d{1,20}):(.*)$/;

export function parseMiniupnpd(text: string): Imported {
  if (text.length > TEXT_MAX) throw new ImportError(`more than ${TEXT_MAX} characters`);
  const found = new Collection("miniupnpd");
  let [number, ended] = [0, 0];
  for (const line of text.split("\n")) {
    number += 1;
    if (line.trim() === "") continue;
    const [, protocol = "", external, host = "", internal, end, description = ""] =
      LINE.exec(line.replace(/\r$/, "")) ?? [];
    const ports = [Number(external), Number(internal)];
    if (protocol === "" || parseIpv4(host) === null || ports.some((port) => !(port >= 1 && port <= 65535))) {
      throw new ImportError(`line ${number}: must be like TCP:8443:192.168.7.2:443:0:description`);
    }
    const port = `${external}/${protocol.toLowerCase()}`;
    found.port(description || port, { port, to: `${host}:${internal}`, enabled: true, wan: null });
    if (end !== "0") ended += 1;
  }
  if (ended > 0)
    found.note(`${ended} of its leases had an end; here they are forwards without one until they are removed`);
  return found.end();
}
