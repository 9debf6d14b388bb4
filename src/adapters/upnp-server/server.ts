import type { ControllerPort } from "../../controller/port.ts";
import type { Clock } from "../../lib/clock.ts";
import { DropLog } from "../../lib/drop-log.ts";
import { OpenListeners, type ServeFault } from "../../lib/open-listeners.ts";
import type { RequestLog } from "../../lib/request-log.ts";
import { isOnLink, type Listener, listenerKey } from "../../lib/served-address.ts";
import { UPNP_HTTP_PORT } from "../../lib/upnp-port.ts";
import type { Advertised } from "../../protocols/upnp/ssdp.ts";
import { Advertiser } from "./advertiser.ts";
import { Control } from "./control.ts";
import { DESCRIPTION_PATHS, describe, type Documents, makeDocuments, targetsOf, type Version } from "./documents.ts";
import { concernsEvents, EventedValues } from "./evented.ts";
import type { Core, Gateway } from "./exchange.ts";
import { type HttpServer, openHttpServer } from "./http-server.ts";
import { type Identity, identityOf } from "./identity.ts";
import { Requests } from "./requests.ts";
import { type Link, Searches } from "./searches.ts";
import { openSsdpSockets } from "./ssdp-sockets.ts";
import { Subscriptions } from "./subscriptions.ts";

/** Seconds. */
const MAX_AGE = 1800;

/** The part of pino that is used here. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface UpnpServerOptions {
  readonly controller: ControllerPort;
  readonly clock: Clock;
  readonly log: Log;
  readonly requestLog: RequestLog;
  readonly core: Core;
  readonly readWan: Gateway["readWan"];
  readonly ipv4Of: Gateway["ipv4Of"];
  readonly readFlowTimeout: Gateway["readFlowTimeout"];
  readonly instanceId: string;
  readonly version: string;
  readonly random: () => number;
}

interface Served extends Link {
  readonly http: HttpServer;
  readonly advertiser: Advertiser | null;
}

/** SSDP, descriptions, control and events for each address of each served interface. */
export class UpnpServer {
  readonly #options: UpnpServerOptions;
  readonly #identity: Identity;
  readonly #documents: Documents;
  readonly #requests: Requests;
  readonly #searches: Searches;
  readonly #subscriptions: Subscriptions;
  readonly #drops: DropLog;
  readonly #following: { close(): void };
  readonly #served: OpenListeners<Listener, Served>;
  #bootId: number;

  constructor(options: UpnpServerOptions) {
    this.#options = options;
    const { controller, clock, core, readWan, ipv4Of, readFlowTimeout, requestLog: requests } = options;
    this.#served = new OpenListeners({
      keyOf: listenerKey,
      open: (listener, lost) => this.#open(listener, lost),
      close: (open, why) => this.#close(open, why),
      onOpened: (opened, others) => this.#announce(opened, others),
      onFault: ({ listener, error }) =>
        options.log.warn({ listener, code: error.code, err: error }, "cannot serve UPnP"),
    });
    const startedAt = clock.now();
    // Greater at each start, as it has to be, and the same for all of this one.
    this.#bootId = Math.floor(startedAt / 1000) % 2 ** 31;
    const gateway: Gateway = { controller, clock, core, readWan, ipv4Of, readFlowTimeout, startedAt };
    const identity = identityOf(options.instanceId, options.version);
    this.#identity = identity;
    this.#documents = makeDocuments(identity);
    const values = new EventedValues(gateway, identity);
    this.#subscriptions = new Subscriptions({ clock, valuesOf: (service, caller) => values.of(service, caller) });
    this.#requests = new Requests({
      identity,
      documents: this.#documents,
      control: new Control(gateway, identity),
      subscriptions: this.#subscriptions,
      clock,
      requests,
      requestsPerSecond: () => controller.state.settings.portControl.perDevice.requestsPerSecond,
    });
    this.#drops = new DropLog(clock, requests, "upnp");
    const advertised = (address: string, version: Version): Advertised | null => this.#advertised(address, version);
    this.#searches = new Searches({
      identity,
      clock,
      drops: this.#drops,
      links: () => this.#served.open,
      advertised,
    });
    let before = controller.state;
    this.#following = controller.subscribe((state) => {
      if (concernsEvents(before, state)) this.#subscriptions.changed();
      before = state;
      values.keep(this.#subscriptions.callers);
    });
  }

  /** The listeners with open sockets. */
  get served(): readonly Listener[] {
    return this.#served.served;
  }

  serve(listeners: readonly Listener[]): Promise<readonly ServeFault<Listener>[]> {
    return this.#served.serve(listeners);
  }

  async close(): Promise<void> {
    await this.#served.close();
    this.#following.close();
    this.#subscriptions.close();
    this.#drops.close();
  }

  /** UPnP Device Architecture 1.1 §1.2.4: with another link there is another BOOTID, and the others hear of it first. */
  #announce(opened: readonly Served[], others: readonly Served[]): void {
    if (others.length > 0) {
      const next = this.#bootId + 1;
      for (const { advertiser } of others) advertiser?.update(next);
      this.#bootId = next;
    }
    for (const { advertiser } of opened) advertiser?.start();
  }

  async #open(listener: Listener, lost: (cause: Error) => void): Promise<Served> {
    const { log, controller, clock, random, core } = this.#options;
    const { interface: served, address } = listener;
    const place = { interface: served, address, port: UPNP_HTTP_PORT };
    const isLet = (remote: string): boolean => isOnLink(this.#served.served, served, remote);
    const http = await openHttpServer(place, isLet, (...asked) => this.#requests.receive(place, ...asked));
    try {
      const sockets = await openSsdpSockets(place);
      const link: Link = { ...listener, sockets };
      const targets = targetsOf(describe(this.#identity, 1));
      const advertised = (at: string): Advertised | null => this.#advertised(at, 1);
      const advertiser = core.hearsMulticast(controller.state, served)
        ? new Advertiser(link, { clock, random, targets, advertised })
        : null;
      const open: Served = { ...link, http, advertiser };
      sockets.onDatagram((...heard) => this.#searches.receive(open, ...heard));
      sockets.onFailure(lost);
      log.info({ listener }, "serving UPnP");
      return open;
    } catch (cause) {
      await http.close();
      throw cause;
    }
  }

  async #close({ interface: served, address, advertiser, sockets, http }: Served, why: string): Promise<void> {
    advertiser?.stop();
    this.#subscriptions.left(address);
    await Promise.all([sockets.close(), http.close()]);
    this.#options.log.info({ interface: served, address, why }, "UPnP sockets closed");
  }

  #advertised(address: string, version: Version): Advertised | null {
    if (this.#options.controller.mode !== "running") return null;
    return {
      location: `http://${address}:${UPNP_HTTP_PORT}${DESCRIPTION_PATHS[version]}`,
      server: this.#identity.server,
      maxAge: MAX_AGE,
      bootId: this.#bootId,
      configId: this.#documents.configId,
    };
  }
}

export function createUpnpServer(options: UpnpServerOptions): UpnpServer {
  return new UpnpServer(options);
}
