import { z } from "zod";
import { isWireguardKey } from "../wireguard-config/fields.ts";
import { parseIpv4 } from "../../lib/ip.ts";
import { ImportError } from "./error.ts";

const TEXT_MAX = 16 << 20;

export const key = z.string().refine((text) => isWireguardKey(text), "must be 32 bytes in base64");
export const address = z.string().refine((text) => parseIpv4(text) !== null, "must be an IPv4 address");
export const name = z.string().max(1024);

/** Says where it is not what it must be, and never what is there. */
export function readJson<T>(text: string, schema: z.ZodType<T>): T {
  if (text.length > TEXT_MAX) throw new ImportError(`more than ${TEXT_MAX} characters`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new ImportError("this is no JSON");
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues as [z.core.$ZodIssue];
  const where = issue.path.map((step) => String(step).slice(0, 64)).join(".");
  throw new ImportError(`${where === "" ? "the document" : where}: ${issue.message}`);
}

/** "10.59.7.2:443". */
export function readSocket(text: string): { host: string; port: number } | null {
  const match = /^([0-9.]{7,15}):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  const host = match?.[1] ?? "";
  return parseIpv4(host) === null || port < 1 || port > 65535 ? null : { host, port };
}
