import { isOpen, type PromisedMapping, type Promises } from "./promises.ts";
import { isShareable } from "./share-rules.ts";

/** Where HAProxy listens for what names share, and for HTTP that it sends to HTTPS. */
export const SHARED_BY_NAME = 60_443;
export const SENT_TO_HTTPS = 60_080;

/** What must be in HAProxy at rest, as `ServedRoutes.texts` has it. */
export function expectedRoutes(promises: Promises): Map<string, string> {
  const expected = new Map<string, string>();
  const mappings = [...promises.mappings.values()];
  const named = mappings.filter(({ name }) => name !== null);
  if (named.length > 0 || promises.settings?.wan.httpRedirect === "on") expected.set("proxy", "");
  const open = named.filter(isOpen);
  for (const mapping of open) {
    const { wan, externalPort, name } = mapping;
    const whole = promises.holder(wan, "tcp", externalPort);
    for (const address of addressesOf(promises, wan)) {
      expected.set(`route|${address}|${externalPort}|${name}`, towards(mapping));
      if (whole === undefined || !isOpen(whole) || !isShareable(whole)) continue;
      expected.set(`fallback|${address}|${externalPort}`, towards(whole));
    }
  }
  for (const { address } of redirectedAddresses(promises)) expected.set(`redirect|${address}`, "");
  return expected;
}

const towards = ({ internalAddress, internalPort }: PromisedMapping): string => `${internalAddress}:${internalPort}`;

/** Of a WAN that is still one of them. */
const addressesOf = (promises: Promises, wan: string): readonly string[] => promises.addressesOf(wan)?.all ?? [];

/** Where HTTP is sent to HTTPS: by an operator's word, or for the sake of names on 443; never where somebody has 80. */
export function redirectedAddresses(promises: Promises): { address: string; own: string }[] {
  const { settings, listeners } = promises;
  const choice = settings?.wan.httpRedirect ?? "auto";
  if (settings === null || choice === "off") return [];
  if (listeners.some(({ protocol, port }) => protocol === "tcp" && port === 80)) return [];
  return settings.wan.interfaces.flatMap((wan) => {
    if (promises.holder(wan, "tcp", 80) !== undefined || promises.named(wan, "tcp", 80).length > 0) return [];
    if (choice === "auto" && !promises.named(wan, "tcp", 443).some(isOpen)) return [];
    const [own, ...others] = addressesOf(promises, wan);
    return own === undefined ? [] : [own, ...others].map((address) => ({ address, own }));
  });
}
