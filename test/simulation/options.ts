import { DEFAULT_SETTINGS } from "../../src/reducers/state.ts";
import { NO_DNS } from "../unit/reducers/given.ts";
import type { Settings } from "../../src/events/settings.ts";
import type { Chance } from "./chance.ts";
import { APPEND_FAULTS, CALL_FAULTS, type FaultKind, RESTARTS, SUDDEN_FAULTS } from "./faults.ts";

/** What a seed expands to: printed when it fails. */
export interface Options {
  readonly seed: number;
  readonly commands: number;
  readonly nonce: "strict" | "same-host";
  readonly wans: readonly string[];
  readonly externalAddress: string;
  readonly quarantine: number;
  readonly perDevice: Settings["portControl"]["perDevice"];
  /** Its LAN has a resolver of ours, and a part of the commands is about names. */
  readonly names: boolean;
  /** Some share ports by name, ask by UPnP, for sets and with filters. */
  readonly sharing: boolean;
  /** Some have IPv6, are on subnets or ask in the place of others, and operators take back what they changed of that. */
  readonly rights: boolean;
  readonly httpRedirect: "auto" | "on" | "off";
  /** How long a later process may have a source of desired rows not seen. */
  readonly gateMs: number;
  /** Number of the command before which each fault comes. */
  readonly faults: readonly { readonly before: number; readonly kind: FaultKind }[];
}

const GENEROUS = { mappings: 256, ports: 2048, requestsPerSecond: 50, eventsPerMinute: 20, eventBurst: 512 };
const TIGHT = { mappings: 5, ports: 8, requestsPerSecond: 50, eventsPerMinute: 12, eventBurst: 10 };

export function drawOptions(seed: number, chance: Chance): Options {
  const commands = chance.between(200, 230);
  const nat = chance.happens(0.15);
  const before = (): number => chance.between(5, commands - 1);
  const drawn = (kinds: readonly FaultKind[], count: number): { before: number; kind: FaultKind }[] =>
    Array.from({ length: count }, () => ({ before: before(), kind: chance.pick(kinds) }));
  const faults = [
    ...drawn(SUDDEN_FAULTS, chance.between(4, 8)),
    ...drawn([...APPEND_FAULTS, ...CALL_FAULTS], chance.between(2, 5)),
    ...drawn(RESTARTS, chance.between(1, 3)),
  ].sort((a, b) => a.before - b.before);
  const rights = playsRights(seed);
  const options: Options = {
    seed,
    commands,
    nonce: chance.pick(["strict", "same-host"]),
    wans: nat || chance.happens(0.7) ? ["wan0"] : ["wan0", "wan1"],
    externalAddress: nat ? "99.88.77.66" : "auto",
    quarantine: chance.pick([120, 120, 0]),
    perDevice: chance.pick([GENEROUS, TIGHT]),
    gateMs: chance.pick([0, 3000]),
    names: chance.happens(0.35),
    // By the seed itself: what is drawn for the others stays as it was. Fifty of those that each `npm test` runs.
    sharing: seed % 3 === 0 && (seed <= 150 || seed > 1000),
    httpRedirect: (["auto", "on", "auto", "off"] as const)[Math.floor(seed / 3) % 4] ?? "auto",
    rights,
    faults,
  };
  // Who is counted, and names, are played elsewhere.
  return rights ? { ...options, names: false, perDevice: GENEROUS } : options;
}

/** By the seed itself, as with `sharing`: some that found nothing before, and what the clock chooses from here on. */
const playsRights = (seed: number): boolean =>
  (seed >= RIGHTS_FIRST && seed <= 1000) || (seed % 3 === 1 && seed > 1_795_700_000);
export const RIGHTS_FIRST = 841;

export function settingsOf(options: Options): Settings {
  const redirect = options.sharing ? { httpRedirect: options.httpRedirect } : {};
  return {
    wan: { interfaces: [...options.wans], externalAddress: options.externalAddress, ...redirect },
    lan: [{ interface: "lan0", nonce: options.nonce, devices: "any", ...NO_DNS, dns: options.names }],
    wireguard: options.rights ? { interface: "wg0", listenPort: 51_820, nonce: "same-host" } : null,
    portControl: {
      pcp: true,
      natpmp: true,
      upnp: true,
      lifetime: { pcpMin: 120, max: 86_400 },
      quarantine: options.quarantine,
      protectedPorts: [22, 2003],
      perDevice: options.perDevice,
    },
    dns: DEFAULT_SETTINGS.dns,
  };
}
