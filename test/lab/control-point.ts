import { UpnpFault } from "../../src/protocols/upnp/error.ts";
import { decodeResponse, encodeCall, soapActionText } from "../../src/protocols/upnp/soap.ts";
import { Driver } from "./driver.ts";
import type { Host } from "./topology.mjs";

export interface HttpAsked {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface HttpSaid {
  /** 0: no answer, and `body` says why. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const XML = 'text/xml; charset="utf-8"';

/** A UPnP control point on a host, that can be told to misbehave. */
export class ControlPoint extends Driver {
  readonly host: Host;
  readonly #gateway: { readonly host: string; readonly port: number };

  constructor(host: Host, gateway: { host: string; port: number }) {
    super(host, "control-point.mjs", []);
    this.host = host;
    this.#gateway = gateway;
  }

  async http({ headers = {}, body = "", ...asked }: HttpAsked): Promise<HttpSaid> {
    return await this.call("http", { ...this.#gateway, ...asked, headers, body });
  }

  async raw(text: string): Promise<string> {
    return await this.call("raw", { ...this.#gateway, text });
  }

  async hold(count: number): Promise<number> {
    return await this.call("hold", { ...this.#gateway, count });
  }

  /** The values of the answer, or the number of the fault. */
  async action(
    name: string,
    args: Readonly<Record<string, string | number>> = {},
    path = "/ctl/IPConn",
    version = 1,
    serviceName = "WANIPConnection",
  ): Promise<Record<string, string> | number> {
    const service = { kind: "service", name: serviceName, version } as const;
    const headers = { "Content-Type": XML, SOAPAction: soapActionText({ service, action: name }) };
    const said = await this.http({
      method: "POST",
      path,
      headers,
      body: encodeCall({ service, action: name }, Object.entries(args)),
    });
    if (said.status !== 200 && said.status !== 500) throw new Error(`${name}: ${said.status} ${said.body}`);
    const read = decodeResponse(new TextEncoder().encode(said.body));
    return read instanceof UpnpFault ? read.number : Object.fromEntries(read.args);
  }

  /** How many of so many SUBSCRIBEs got which status. */
  async subscribeMany(count: number): Promise<Record<number, number>> {
    return await this.call("subscribeMany", { ...this.#gateway, callback: this.host.address, count });
  }

  async search(asked: {
    to?: string;
    message: string;
    count?: number;
    waitMs: number;
  }): Promise<{ from: string; port: number; text: string }[]> {
    return await this.call("search", asked);
  }

  /** From now on, datagrams that come to this port. */
  async hearUdp(port: number): Promise<void> {
    await this.call("hearUdp", { port });
  }

  /** How many came by then. */
  async heardUdp(waitMs: number): Promise<number> {
    return await this.call("heardUdp", { waitMs });
  }

  /** From now on, what is announced on its link. */
  async hear(): Promise<void> {
    await this.call("hear", { address: this.host.address });
  }

  async announced(): Promise<string[]> {
    return await this.call("announced");
  }

  /** From now on, the events that come to this port. */
  async listen(port: number): Promise<void> {
    await this.call("listen", { port });
  }

  async received(): Promise<{ headers: Readonly<Record<string, string>>; body: string }[]> {
    return await this.call("received");
  }

  /** SUBSCRIBE with these headers. */
  async subscribe(headers: Readonly<Record<string, string>>, path = "/evt/IPConn"): Promise<HttpSaid> {
    return await this.http({ method: "SUBSCRIBE", path, headers });
  }
}

export const portMapping = (client: string, more: Readonly<Record<string, string | number>> = {}) => ({
  NewRemoteHost: "",
  NewExternalPort: 8090,
  NewProtocol: "TCP",
  NewInternalPort: 8080,
  NewInternalClient: client,
  NewEnabled: 1,
  NewPortMappingDescription: "a lab",
  NewLeaseDuration: 3600,
  ...more,
});
