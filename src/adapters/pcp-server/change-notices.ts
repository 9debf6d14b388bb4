import type { ControllerPort } from "../../controller/port.ts";
import type { Clock } from "../../lib/clock.ts";
import { tableGet, tableRows } from "../../lib/table.ts";
import { encodeNatPmpAddress } from "../../protocols/natpmp/response.ts";
import { ALL_HOSTS, CLIENT_PORT } from "../../protocols/pcp/constants.ts";
import { encodeSuccess } from "../../protocols/pcp/response.ts";
import type { State } from "../../reducers/state.ts";
import { Announcement } from "./announcement.ts";
import { claimName, type ClientPorts } from "./client-ports.ts";
import type { Standing } from "./exchange.ts";
import { isOnLink, type Link } from "./link.ts";
import { MappingUpdates } from "./mapping-updates.ts";
import { type ExternalAddressOf, toldAddress } from "./standing.ts";

/** A changed address is told to a client only once the kernel follows it; after this long it is not told at all. */
const SETTLE_MAX_MS = 5000;
const EVERYONE = { address: ALL_HOSTS, port: CLIENT_PORT };

export interface ChangeNoticesOptions {
  readonly controller: ControllerPort;
  readonly clock: Clock;
  readonly clientPorts: ClientPorts;
  readonly standingOn: (served: string) => Standing;
  readonly externalAddressOf: ExternalAddressOf;
  readonly onUnsettled: (cause: unknown) => void;
}

interface Announcements {
  readonly pcp: Announcement;
  readonly natpmp: Announcement;
}

/** What was true when clients were last told. */
type Told = Pick<State, "epochs" | "topologyRevision" | "wanAddresses"> & { readonly address: string | null };

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
  #told: Told;

  constructor(options: ChangeNoticesOptions) {
    this.#options = options;
    this.#updates = new MappingUpdates(options.clock, (name) => this.#sendUpdate(name));
    this.#told = this.#toldOf(options.controller.state);
  }

  /** RFC 6886 §3.2.1 wants the address said at each start; a PCP epoch that goes on is nothing new. */
  opened(link: Link): void {
    const { clock, controller } = this.#options;
    const announcements = {
      pcp: new Announcement(clock, () => this.#announcePcp(link)),
      natpmp: new Announcement(clock, () => this.#announceNatPmp(link)),
    };
    this.#links.set(link, announcements);
    const { epochs, run } = controller.state;
    const epoch = epochs[link.interface];
    if (epoch !== undefined && epoch.startedAt >= run.startedAt) announcements.pcp.restart();
    announcements.natpmp.restart();
    if (this.#unheard.size === 0) return;
    const names = [...this.#unheard];
    this.#unheard.clear();
    this.#updates.start(names);
  }

  closed(link: Link): void {
    const announcements = this.#links.get(link);
    announcements?.pcp.stop();
    announcements?.natpmp.stop();
    this.#links.delete(link);
  }

  close(): void {
    for (const link of this.#links.keys()) this.closed(link);
    this.#updates.stop();
  }

  /** Compares a committed state with what clients were told. */
  follow(state: State): void {
    const before = this.#told;
    if (state.epochs === before.epochs && state.topologyRevision === before.topologyRevision) return;
    this.#told = this.#toldOf(state);
    const { address } = this.#told;
    for (const [link, { pcp, natpmp }] of this.#links) {
      const restarted = state.epochs[link.interface]?.startedAt !== before.epochs[link.interface]?.startedAt;
      if (restarted) pcp.restart();
      if (restarted || (address !== null && address !== before.address)) natpmp.restart();
    }
    const moved = Object.keys(state.wanAddresses).filter((wan) => {
      const last = before.wanAddresses[wan]?.reported;
      return last !== undefined && last !== state.wanAddresses[wan]?.reported;
    });
    if (moved.length > 0) this.#updateAfterSettling(state, new Set(moved));
  }

  /** The client of this claim has just been answered. */
  refreshed(mappingId: string, claimKey: string): void {
    const name = claimName(mappingId, claimKey);
    this.#unheard.delete(name);
    this.#updates.refreshed(name);
  }

  #announcePcp({ interface: served, socket }: Link): void {
    const { pcp, ready, epoch } = this.#options.standingOn(served);
    if (!pcp || !ready) return;
    socket.send(encodeSuccess({ lifetime: 0, epoch, body: { kind: "announce" }, options: [] }), EVERYONE);
  }

  #announceNatPmp({ interface: served, socket }: Link): void {
    const { natpmp, ready, epoch, externalAddress: address } = this.#options.standingOn(served);
    if (!natpmp || !ready || address === null) return;
    socket.send(encodeNatPmpAddress("SUCCESS", epoch, address), EVERYONE);
  }

  #updateAfterSettling({ seq }: State, wans: ReadonlySet<string>): void {
    const { controller, onUnsettled } = this.#options;
    controller.settled(seq, AbortSignal.timeout(SETTLE_MAX_MS)).then(() => {
      const names: string[] = [];
      for (const mapping of tableRows(controller.state.mappings)) {
        if (!wans.has(mapping.wan) || !mapping.enabled) continue;
        for (const claim of mapping.claims) if (claim.source === "pcp") names.push(claimName(mapping.id, claim.key));
      }
      this.#updates.start(names);
    }, onUnsettled);
  }

  /** RFC 6887 §14.2: the reply the client would get now, to the port it last asked from. */
  #sendUpdate(name: string): boolean {
    const { controller, clientPorts, clock, standingOn, externalAddressOf } = this.#options;
    const [mappingId, claimKey] = name.split(" ") as [string, string];
    const mapping = tableGet(controller.state.mappings, mappingId);
    const claim = mapping?.claims.find((other) => other.key === claimKey);
    const deadline = controller.deadlines.deadlineOf(mappingId, claimKey);
    if (mapping === undefined || claim === undefined || deadline === null) return false;
    const { device, nonce } = claim;
    const port = clientPorts.portOf(mappingId, claimKey) ?? claim.clientPort;
    const address = externalAddressOf(controller.state, mapping.wan);
    if (device === null || nonce === null || port === null || address === null) return false;
    const link = [...this.#links.keys()].find(
      (candidate) => candidate.interface === mapping.interface && isOnLink([candidate], candidate.interface, device),
    );
    const lifetime = Math.floor((deadline - clock.now()) / 1000);
    if (lifetime <= 0) return false;
    if (link === undefined) {
      this.#unheard.add(name);
      return false;
    }
    const { epoch, pcp } = standingOn(link.interface);
    if (!pcp) return false;
    const protocol = mapping.protocol === "tcp" ? 6 : 17;
    const { internalPort, externalPort } = mapping;
    const body = { kind: "map", nonce, protocol, internalPort, externalPort, externalAddress: address } as const;
    link.socket.send(encodeSuccess({ lifetime, epoch, body, options: [] }), { address: device, port });
    return true;
  }

  #toldOf(state: State): Told {
    const { epochs, topologyRevision, wanAddresses } = state;
    const address = toldAddress(state, this.#options.externalAddressOf);
    return { epochs, topologyRevision, wanAddresses, address };
  }
}
