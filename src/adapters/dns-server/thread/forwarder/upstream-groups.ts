import { type NameKey, parseName } from "../../../../lib/domain-name.ts";
import { parseUpstream, type Upstream, upstreamText } from "../../../../lib/dns-upstream.ts";
import { type ClientTools, type ReachableServer, UpstreamClient } from "./upstream-client.ts";

/** What a view is given: `DnsViewRow.upstreams`. */
export type ViewUpstreams =
  | { readonly mode: "system" }
  | { readonly mode: "custom"; readonly servers: readonly string[] };

/** Upstreams that are asked the same: what one of them said is told to everybody who asks them, and to nobody else. */
export interface UpstreamGroup {
  /** What the keys of its answers begin with. */
  readonly id: string;
  readonly clients: readonly UpstreamClient[];
  /** For named domains only: the operator said that these upstreams know them, private addresses and all. */
  readonly conditional: boolean;
}

/** Whom a view asks. */
export interface UpstreamPlan {
  readonly general: UpstreamGroup;
  /** By the domain's `NameKey`. */
  readonly byDomain: ReadonlyMap<string, UpstreamGroup>;
}

export interface Listener {
  readonly address: string;
  readonly port: number;
}

interface GroupTools extends ClientTools {
  /** `dns.upstreams`: whom a view asks that has none of its own. */
  readonly upstreams: "system" | readonly string[];
  /** An entry without effect, in a sentence; once while it is there. */
  readonly refused: (sentence: string) => void;
}

/** Makes plans of lists. A server that several lists name is one client; of lists that are gone nothing is kept. */
export class UpstreamGroups {
  readonly #tools: GroupTools;
  readonly #clients = new Map<string, UpstreamClient>();
  readonly #groupIds = new Map<string, string>();
  #refused = new Set<string>();
  #idsUsed = new Set<string>();
  #nextId = 0;

  constructor(tools: GroupTools) {
    this.#tools = tools;
  }

  get clients(): readonly UpstreamClient[] {
    return [...this.#clients.values()];
  }

  /** Plans for all views at once, in their order; clients that are in none of them any more are closed. */
  plan(
    views: readonly ViewUpstreams[],
    system: readonly string[],
    listeners: readonly Listener[],
  ): readonly UpstreamPlan[] {
    this.#idsUsed = new Set();
    const used = new Set<UpstreamClient>();
    const refused = new Set<string>();
    const client = (server: ReachableServer): UpstreamClient[] => {
      // Forwarding to ourselves would go round for ever.
      if (listeners.some(({ address, port }) => address === server.address && port === server.port)) {
        refused.add(`upstream ${upstreamText(server)} is this resolver itself and is not asked`);
        return [];
      }
      const key = upstreamText(server);
      const found = this.#clients.get(key) ?? new UpstreamClient(server, this.#tools);
      this.#clients.set(key, found);
      used.add(found);
      return [found];
    };
    const ownServers = system.flatMap((address) => client({ kind: "plain", address, port: 53 }));
    const plans = views.map((view) => {
      const list = view.mode === "custom" ? view.servers : this.#tools.upstreams;
      const upstreams = list === "system" ? SYSTEM : list.flatMap((text) => parsed(text, refused));
      return this.#planOf(upstreams, (server) => (server.kind === "system" ? ownServers : client(server)));
    });
    for (const [key, each] of this.#clients) {
      if (used.has(each)) continue;
      this.#clients.delete(key);
      each.close();
    }
    for (const text of this.#groupIds.keys()) if (!this.#idsUsed.has(text)) this.#groupIds.delete(text);
    for (const sentence of refused) if (!this.#refused.has(sentence)) this.#tools.refused(sentence);
    this.#refused = refused;
    return plans;
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
  }

  #planOf(upstreams: readonly Upstream[], clientsOf: (server: Upstream["server"]) => UpstreamClient[]): UpstreamPlan {
    const group = (members: readonly Upstream[], domain: string): UpstreamGroup => {
      const clients = members.flatMap(({ server }) => clientsOf(server));
      const text = [domain, ...members.map(({ server }) => upstreamText(server))].join(" ");
      return { id: this.#idOf(text), clients: [...new Set(clients)], conditional: domain !== "" };
    };
    const domains = [...new Set(upstreams.flatMap(({ domains }) => domains))];
    const byDomain = new Map<string, UpstreamGroup>();
    for (const domain of domains) {
      const key = parseName(domain)?.key;
      const members = upstreams.filter((each) => each.domains.includes(domain));
      if (key !== undefined) byDomain.set(key, group(members, domain));
    }
    return {
      general: group(
        upstreams.filter(({ domains }) => domains.length === 0),
        "",
      ),
      byDomain,
    };
  }

  /** The same list has the same id for as long as it is there: what was learned from it stays good. */
  #idOf(text: string): string {
    const id = this.#groupIds.get(text) ?? `${this.#nextId}:`;
    if (!this.#groupIds.has(text)) this.#nextId += 1;
    this.#groupIds.set(text, id);
    this.#idsUsed.add(text);
    return id;
  }
}

const SYSTEM: readonly Upstream[] = [{ domains: [], server: { kind: "system" } }];

function parsed(text: string, refused: Set<string>): Upstream[] {
  const result = parseUpstream(text);
  if ("upstream" in result) return [result.upstream];
  refused.add(result.fault);
  return [];
}

/** The group for a name: of the domains it is in, the longest. */
export function groupFor({ general, byDomain }: UpstreamPlan, key: NameKey): UpstreamGroup {
  if (byDomain.size === 0) return general;
  for (let at = 0; ; at += 1 + key.charCodeAt(at)) {
    const found = byDomain.get(key.slice(at));
    if (found !== undefined) return found;
    if (key.charCodeAt(at) === 0) return general;
  }
}
