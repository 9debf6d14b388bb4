import type { Port } from "../api/schemas/port.ts";
import type { Client } from "./client.ts";
import { EXIT, Failure } from "./exit.ts";
import { parseSelector } from "./port-text.ts";

/** The rows that a `PORT` names; a `Failure` with exit code 3 if there are none. */
export async function choosePorts(client: Client, text: string): Promise<Port[]> {
  const selector = parseSelector(text);
  if ("id" in selector) return [await client.call<Port>({ path: `/ports/${selector.id}` })];
  const { port, protocol, address } = selector;
  const ports = await client.call<Port[]>({ path: "/ports", query: { port, protocol, address } });
  if (ports.length > 0) return ports;
  throw new Failure(EXIT.notFound, `there is no port ${text}`, "`portreeve port list` shows those there are");
}

/** A `PORT` with its protocol, or an id, names one row: then scripts are given one document and not a list. */
export function namesOne(text: string): boolean {
  const selector = parseSelector(text);
  return "id" in selector || selector.protocol !== null;
}
