import type { ControllerPort } from "../../controller/port.ts";
import type { Clock } from "../../lib/clock.ts";
import type { SocketPlace } from "../../lib/device-socket.ts";
import { DropLog } from "../../lib/drop-log.ts";
import { OpenListeners, type ServeFault } from "../../lib/open-listeners.ts";
import type { RequestLog } from "../../lib/request-log.ts";
import { type Listener, listenerKey } from "../../lib/served-address.ts";
import { tableGet } from "../../lib/table.ts";
import { SERVER_PORT } from "../../protocols/pcp/constants.ts";
import { type BoundSocket, type Endpoint, openBoundSocket } from "./bound-socket.ts";
import { ChangeNotices } from "./change-notices.ts";
import { ClientPorts } from "./client-ports.ts";
import type { Standing } from "./exchange.ts";
import type { Link } from "./link.ts";
import { RequestFlow } from "./request-flow.ts";
import { type Clients, standingOf } from "./standing.ts";

/** The part of pino that is used here. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface PcpServerOptions {
  readonly controller: ControllerPort;
  readonly log: Log;
  readonly requestLog: RequestLog;
  readonly clock: Clock;
  readonly clients: Clients;
  /** Whether ports can be shared by TLS server name now: marks ANNOUNCE replies with option 225. */
  readonly sniAvailable: () => boolean;
  /** The IPv4 address of the host that has an IPv6 address on a served interface; null: none is known. */
  readonly ipv4Of: (served: string, address: string) => Promise<string | null>;
  /** Tests put a socket of their own in. */
  readonly openSocket?: (place: SocketPlace) => Promise<BoundSocket>;
}

/** PCP, and over IPv4 NAT-PMP, on one UDP socket for each address of each served interface. */
export class PcpServer {
  readonly #options: PcpServerOptions;
  readonly #links: OpenListeners<Listener, Link>;
  readonly #flow: RequestFlow;
  readonly #notices: ChangeNotices;
  readonly #drops: DropLog;
  readonly #subscription: { close(): void };
  readonly #startedAt: number;

  constructor(options: PcpServerOptions) {
    this.#options = options;
    const { controller, clock, requestLog: requests, log } = options;
    this.#startedAt = clock.now();
    this.#links = new OpenListeners({
      keyOf: listenerKey,
      open: (listener, lost) => this.#open(listener, lost),
      close: (link, why) => this.#close(link, why),
      onOpened: (links) => {
        for (const link of links) this.#notices.opened(link);
      },
      onFault: ({ listener, error }) =>
        log.warn({ listener, code: error.code, err: error }, "cannot serve port control"),
    });
    const clientPorts = new ClientPorts();
    const standingOn = (served: string, client: string | null): Standing => this.#standingOn(served, client);
    this.#drops = new DropLog(clock, requests, "pcp");
    this.#notices = new ChangeNotices({
      controller,
      clock,
      clientPorts,
      standingOn,
      clients: options.clients,
      onUnsettled: (cause) => log.warn({ err: cause }, "mapping updates not sent: the new address is not settled"),
    });
    /** Whether the claim is there. Another than who made it may renew it; Mapping Updates go to the one who made it. */
    const heard = (mappingId: string, claimKey: string, client: Endpoint): boolean => {
      const claims = tableGet(controller.state.mappings, mappingId)?.claims;
      const claim = claims?.find(({ key }) => key === claimKey);
      if (claim?.device === client.address) clientPorts.heard(mappingId, claimKey, client.port);
      return claim !== undefined;
    };
    this.#flow = new RequestFlow({
      controller,
      clock,
      requests,
      drops: this.#drops,
      links: () => this.#links.open,
      standingOn,
      ipv4Of: options.ipv4Of,
      onClaimHeard: (mappingId, claimKey, client) => {
        if (heard(mappingId, claimKey, client)) this.#notices.refreshed(mappingId, claimKey);
      },
      onClaimTouched: (mappingId, claimKey, client) => {
        if (heard(mappingId, claimKey, client)) this.#notices.touched(mappingId, claimKey);
      },
    });
    this.#subscription = controller.subscribe((state, records) => {
      clientPorts.follow(records);
      this.#notices.follow(state, records);
    });
  }

  /** The listeners with an open socket. */
  get served(): readonly Listener[] {
    return this.#links.served;
  }

  serve(listeners: readonly Listener[]): Promise<readonly ServeFault<Listener>[]> {
    return this.#links.serve(listeners);
  }

  async close(): Promise<void> {
    await this.#links.close();
    this.#subscription.close();
    this.#notices.close();
    this.#drops.close();
  }

  async #open(listener: Listener, lost: (cause: Error) => void): Promise<Link> {
    const { openSocket = openBoundSocket, log } = this.#options;
    const { interface: served, address } = listener;
    const socket = await openSocket({ interface: served, address, port: SERVER_PORT });
    const link: Link = { ...listener, socket };
    socket.onDatagram((bytes, source) => this.#flow.receive(link, bytes, source));
    socket.onFailure(lost);
    log.info({ listener }, "serving port control");
    return link;
  }

  async #close(link: Link, why: string): Promise<void> {
    const { interface: served, address } = link;
    this.#notices.closed(link);
    await link.socket.close();
    this.#options.log.info({ interface: served, address, why }, "port control socket closed");
  }

  #standingOn(served: string, client: string | null): Standing {
    const { controller, clock, sniAvailable, clients } = this.#options;
    const { state, mode } = controller;
    const moment = { state, mode, now: clock.now(), serverStartedAt: this.#startedAt, clients };
    return standingOf(moment, served, client, sniAvailable());
  }
}

export function createPcpServer(options: PcpServerOptions): PcpServer {
  return new PcpServer(options);
}
