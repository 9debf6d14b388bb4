import type { ControllerPort } from "../../controller/port.ts";
import type { PortreeveRecord } from "../../events/index.ts";
import type { Clock } from "../../lib/clock.ts";
import { isIpv6 } from "../../lib/ipv6.ts";
import { isOnLink } from "../../lib/served-address.ts";
import { tableGet, tableRows } from "../../lib/table.ts";
import { encodeNatPmpAddress } from "../../protocols/natpmp/response.ts";
import { ALL_HOSTS, ALL_NODES, CLIENT_PORT } from "../../protocols/pcp/constants.ts";
import { encodeSuccess } from "../../protocols/pcp/response.ts";
import type { Mapping, State } from "../../reducers/state.ts";
import { Announcement } from "./announcement.ts";
import { claimName, type ClientPorts } from "./client-ports.ts";
import type { Standing } from "./exchange.ts";
import type { Link } from "./link.ts";
import { MappingUpdates } from "./mapping-updates.ts";
import { mappingUpdate } from "./pcp-reply.ts";
import type { Clients } from "./standing.ts";

/** A changed address is told to a client only once the kernel follows it; after this long it is not told at all. */
const SETTLE_MAX_MS = 5000;
const EVERYONE = { address: ALL_HOSTS, port: CLIENT_PORT };
const EVERYONE_IPV6 = { address: ALL_NODES, port: CLIENT_PORT };

export interface ChangeNoticesOptions {
  readonly controller: ControllerPort;
  readonly clock: Clock;
  readonly clientPorts: ClientPorts;
  readonly standingOn: (served: string, client: string | null) => Standing;
  readonly clients: Clients;
  readonly onUnsettled: (cause: unknown) => void;
}

interface Announcements {
  readonly pcp: Announcement;
  /** Null over IPv6. */
  readonly natpmp: Announcement | null;
}

/**
 * Tells clients, unasked, what they must know: that their mappings may be lost (a new epoch, RFC 6887 §14.1, RFC 6886
 * §3.2.1), and that their external address is another (RFC 6887 §14.2).
 */
export class ChangeNotices {
  readonly #options: ChangeNoticesOptions;
  readonly #links = new Map<Link, Announcements>();
  readonly #updates: MappingUpdates;
  /** Claims whose client has no open link to be told on: told when one opens, as after a start. */
  readonly #unheard = new Set<string>();
  /** What was true when clients were last told. */
  #told: State;

  constructor(options: ChangeNoticesOptions) {
    this.#options = options;
    this.#updates = new MappingUpdates(options.clock, (name) => this.#sendUpdate(name));
    this.#told = options.controller.state;
  }

  /** RFC 6886 §3.2.1 wants the address said at each start; a PCP epoch that goes on is nothing new. */
  opened(link: Link): void {
    const { clock, controller } = this.#options;
    const announcements: Announcements = {
      pcp: new Announcement(clock, () => this.#announcePcp(link)),
      natpmp: isIpv6(link.address) ? null : new Announcement(clock, () => this.#announceNatPmp(link)),
    };
    this.#links.set(link, announcements);
    const { epochs, run } = controller.state;
    const epoch = epochs[link.interface];
    if (epoch !== undefined && epoch.startedAt >= run.startedAt) announcements.pcp.restart();
    announcements.natpmp?.restart();
    if (this.#unheard.size === 0) return;
    const names = [...this.#unheard];
    this.#unheard.clear();
    this.#updates.start(names);
  }

  closed(link: Link): void {
    const announcements = this.#links.get(link);
    announcements?.pcp.stop();
    announcements?.natpmp?.stop();
    this.#links.delete(link);
  }

  close(): void {
    for (const link of this.#links.keys()) this.closed(link);
    this.#updates.stop();
  }

  /** Compares a committed state with what clients were told. */
  follow(state: State, records: readonly PortreeveRecord[]): void {
    const before = this.#told;
    this.#told = state;
    const changed = (["epochs", "topologyRevision", "subnets"] as const).some((part) => state[part] !== before[part]);
    const moved = this.#options.clients.moved(before, state);
    if (changed || moved.length > 0) this.#announce(before, state, moved);
    const wans = new Set(
      Object.keys(state.wanAddresses).filter((wan) => {
        const last = before.wanAddresses[wan]?.reported;
        return last !== undefined && last !== state.wanAddresses[wan]?.reported;
      }),
    );
    // An operator's edit, of the mapping or of where its device's ports are.
    const edited = new Set(
      records.flatMap(({ event: { type, data } }) =>
        type === "mapping.changed" && (data.wan !== undefined || data.externalPort !== undefined) ? [data.id] : [],
      ),
    );
    if (wans.size + edited.size === 0) return;
    this.#updateAfterSettling(state, ({ id, wan }) => wans.has(wan) || edited.has(id));
  }

  #announce(before: State, state: State, moved: ReturnType<Clients["moved"]>): void {
    const { clients } = this.#options;
    for (const [link, { pcp, natpmp }] of this.#links) {
      const { interface: served } = link;
      const restarted = state.epochs[served]?.startedAt !== before.epochs[served]?.startedAt;
      if (restarted) pcp.restart();
      const address = clients.ofClient(state, served, null);
      const readdressed = address !== null && address !== clients.ofClient(before, served, null);
      const some = moved.some((client) => isOnLink([link], client.interface ?? served, client.address));
      if (restarted || readdressed || some) natpmp?.restart();
    }
  }

  /** RFC 7753 §4.4: its client renewed it by a request that another mapping was the answer to. */
  touched(mappingId: string, claimKey: string): void {
    this.#updates.start([claimName(mappingId, claimKey)]);
  }

  /** The client of this claim has just been answered. */
  refreshed(mappingId: string, claimKey: string): void {
    const name = claimName(mappingId, claimKey);
    this.#unheard.delete(name);
    this.#updates.refreshed(name);
  }

  #announcePcp(link: Link): void {
    const { pcp, ready, epoch } = this.#options.standingOn(link.interface, null);
    if (!pcp || !ready) return;
    const bytes = encodeSuccess({ lifetime: 0, epoch, body: { kind: "announce" }, options: [] });
    if (this.#hearsMulticast(link)) link.socket.send(bytes, isIpv6(link.address) ? EVERYONE_IPV6 : EVERYONE);
    else for (const address of this.#toldAlone(link)) link.socket.send(bytes, { address, port: CLIENT_PORT });
  }

  #announceNatPmp(link: Link): void {
    if (this.#hearsMulticast(link)) this.#tellAddress(link, null);
    for (const client of this.#toldAlone(link)) this.#tellAddress(link, client);
  }

  /** To one client, or to everybody. */
  #tellAddress({ interface: served, socket }: Link, client: string | null): void {
    const { natpmp, ready, epoch, externalAddress: address } = this.#options.standingOn(served, client);
    if (!natpmp || !ready || address === null) return;
    const to = client === null ? EVERYONE : { address: client, port: CLIENT_PORT };
    socket.send(encodeNatPmpAddress("SUCCESS", epoch, address), to);
  }

  #hearsMulticast({ interface: served }: Link): boolean {
    return this.#options.clients.hearsMulticast(this.#options.controller.state, served);
  }

  #toldAlone(link: Link): string[] {
    const { clients, controller } = this.#options;
    const all = clients.toldAlone(controller.state, link.interface);
    return all.filter((address) => isOnLink([link], link.interface, address));
  }

  #updateAfterSettling({ seq }: State, changed: (mapping: Mapping) => boolean): void {
    const { controller, onUnsettled } = this.#options;
    controller.settled(seq, AbortSignal.timeout(SETTLE_MAX_MS)).then(() => {
      const names: string[] = [];
      for (const mapping of tableRows(controller.state.mappings)) {
        if (!mapping.enabled || !changed(mapping)) continue;
        for (const claim of mapping.claims) if (claim.source === "pcp") names.push(claimName(mapping.id, claim.key));
      }
      this.#updates.start(names);
    }, onUnsettled);
  }

  /** RFC 6887 §14.2: the reply the client would get now, to the port it last asked from. */
  #sendUpdate(name: string): boolean {
    const { controller, clientPorts, clock, standingOn, clients } = this.#options;
    const [mappingId, claimKey] = name.split(" ") as [string, string];
    const mapping = tableGet(controller.state.mappings, mappingId);
    const claim = mapping?.claims.find((other) => other.key === claimKey);
    const deadline = controller.deadlines.deadlineOf(mappingId, claimKey);
    if (mapping === undefined || claim === undefined || deadline === null) return false;
    const { device, nonce } = claim;
    const port = clientPorts.portOf(mappingId, claimKey) ?? claim.clientPort;
    const address = clients.ofWan(controller.state, mapping.wan);
    if (device === null || nonce === null || port === null || address === null) return false;
    // Who asked in the place of another may be on another network than that one.
    const own = mapping.internalAddress === device;
    const link = [...this.#links.keys()].find(
      ({ interface: served, ...rest }) =>
        (served === mapping.interface || !own) && isOnLink([{ interface: served, ...rest }], served, device),
    );
    const lifetime = Math.floor((deadline - clock.now()) / 1000);
    if (lifetime <= 0) return false;
    if (link === undefined) {
      this.#unheard.add(name);
      return false;
    }
    const { epoch, pcp } = standingOn(link.interface, device);
    if (!pcp) return false;
    const bytes = mappingUpdate(mapping, { ...claim, nonce, device }, { address, epoch, lifetime });
    link.socket.send(bytes, { address: device, port });
    return true;
  }
}
