import { Arguments } from "../../protocols/upnp/arguments.ts";
import { UPNP_ERRORS, UpnpDecodeError, UpnpFault } from "../../protocols/upnp/error.ts";
import {
  LAYER3_FORWARDING,
  WAN_COMMON_INTERFACE_CONFIG,
  WAN_IP_CONNECTION,
} from "../../protocols/upnp/gateway-services.ts";
import { WAN_IPV6_FIREWALL_CONTROL } from "../../protocols/upnp/firewall-service.ts";
import type { ServiceDefinition } from "../../protocols/upnp/definition.ts";
import {
  type ActionCall,
  decodeCall,
  encodeFault,
  encodeResponse,
  parseSoapAction,
  VariableQuery,
} from "../../protocols/upnp/soap.ts";
import { type Actions, RefusedByCore } from "./action.ts";
import type { ServiceName } from "./documents.ts";
import type { Caller, Gateway, Values } from "./exchange.ts";
import type { Identity } from "./identity.ts";
import { ipv6FirewallActions } from "./ipv6-firewall.ts";
import { layer3ForwardingActions, wanCommonActions } from "./other-services.ts";
import { wanIpConnectionActions } from "./wan-ip-connection.ts";

export interface ControlAnswer {
  readonly status: 200 | 400 | 403 | 500;
  readonly body: string;
  /** For a person. */
  readonly request: string;
  readonly decision: "granted" | "released" | "answered" | "refused";
  readonly code: string | null;
  readonly message: string;
}

interface Service {
  readonly definition: ServiceDefinition;
  readonly version: number;
  readonly actions: Actions;
  /** Of error numbers that other services have for something else. */
  readonly texts?: Readonly<Partial<Record<number, string>>>;
}

const FIREWALL: Service = {
  definition: WAN_IPV6_FIREWALL_CONTROL,
  version: 1,
  actions: ipv6FirewallActions,
  // WANIPConnection has the number for something else.
  texts: { 704: "NoSuchEntry" },
};

/** Whatever does not only ask. A browser can send the body of one from anywhere, but not this header (SEC-05). */
const ASKS = /^Get/;
const RELEASES = /^(?:X_START9_)?Delete/;

/** Answers the actions of all services. */
export class Control {
  readonly #gateway: Gateway;
  readonly #services: Readonly<Record<ServiceName, Service>>;

  constructor(gateway: Gateway, identity: Identity) {
    this.#gateway = gateway;
    this.#services = {
      // Whatever the description said, the control point is understood in both versions.
      WANIPConnection: { definition: WAN_IP_CONNECTION[2], version: 2, actions: wanIpConnectionActions },
      WANCommonInterfaceConfig: { definition: WAN_COMMON_INTERFACE_CONFIG, version: 1, actions: wanCommonActions },
      WANIPv6FirewallControl: FIREWALL,
      Layer3Forwarding: { definition: LAYER3_FORWARDING, version: 1, actions: layer3ForwardingActions(identity) },
    };
  }

  async answer(
    name: ServiceName,
    caller: Caller,
    soapAction: string | undefined,
    body: Uint8Array,
  ): Promise<ControlAnswer> {
    let call: ActionCall;
    try {
      call = decodeCall(body);
    } catch (cause) {
      if (!(cause instanceof UpnpDecodeError)) throw cause;
      if (cause instanceof VariableQuery) return fault("QueryStateVariable", new UpnpFault(404, cause.message));
      return rejection(400, "unreadable request", cause.message);
    }
    const request = describeCall(call);
    if (soapAction === undefined && !ASKS.test(call.action))
      return rejection(403, request, "no SOAPAction header: what changes something has to have it");
    try {
      const values = await this.#call(name, caller, soapAction, call);
      const message = values
        .map(([value, text]) => `${value} ${typeof text === "object" ? "…" : text}`)
        .join(", ")
        .slice(0, 256);
      const decision = ASKS.test(call.action) ? "answered" : RELEASES.test(call.action) ? "released" : "granted";
      const said = message === "" ? "as asked" : message;
      return { status: 200, body: encodeResponse(call, values), request, decision, code: null, message: said };
    } catch (cause) {
      if (!(cause instanceof UpnpFault)) throw cause;
      return fault(request, cause, this.#serviceOf(name, call.action).texts);
    }
  }

  /** @achingbrain/nat-port-mapper asks WANIPConnection for pinholes (SOAP-07). */
  #serviceOf(name: ServiceName, action: string): Service {
    return name === "WANIPConnection" && Object.hasOwn(ipv6FirewallActions, action) ? FIREWALL : this.#services[name];
  }

  async #call(name: ServiceName, caller: Caller, soapAction: string | undefined, call: ActionCall): Promise<Values> {
    const { version } = this.#services[name];
    const { definition, actions } = this.#serviceOf(name, call.action);
    const header = soapAction === undefined ? call : parseSoapAction(soapAction);
    if (header === null || header.action !== call.action || header.service.name !== call.service.name)
      throw new UpnpFault(401, "SOAPAction and body do not name the same action");
    if (call.service.name !== name || call.service.version > version || header.service.version > version)
      throw new UpnpFault(401, "the action is of another service");
    const action = definition.actions.find((each) => each.name === call.action);
    const perform = Object.hasOwn(actions, call.action) ? actions[call.action] : undefined;
    if (action === undefined || perform === undefined) throw new UpnpFault(401, "the service has no such action");
    return await perform(this.#gateway, caller, new Arguments(action, call.args));
  }
}

function fault(request: string, cause: UpnpFault, texts: Service["texts"] = {}): ControlAnswer {
  const code = cause instanceof RefusedByCore ? cause.code : "INVALID_REQUEST";
  const text = texts[cause.number] ?? UPNP_ERRORS[cause.number];
  const message = `${cause.number} ${text}: ${cause.message}`;
  // The text of the specification: what our own says of others' mappings is not for everyone.
  const body = encodeFault(new UpnpFault(cause.number, text));
  return { status: 500, body, request, decision: "refused", code, message };
}

function rejection(status: 400 | 403, request: string, message: string): ControlAnswer {
  return { status, body: `${message}\n`, request, decision: "refused", code: "INVALID_REQUEST", message };
}

/** "AddPortMapping TCP 8080 → 80 for 3600 s": the arguments as they came, each cut. */
function describeCall({ action, args }: ActionCall): string {
  const text = (name: string, most = 24): string => (args.get(name) ?? "").replace(/\p{C}/gu, " ").slice(0, most);
  const named = args.has("NewHostname") ? `${text("NewHostname", 253)} ` : "";
  if (args.has("NewInternalClient")) {
    const target = `${text("NewInternalClient")}:${text("NewInternalPort")}`;
    const place = `${named}${text("NewProtocol")} ${text("NewExternalPort")}`;
    return `${action} ${place} → ${target} for ${text("NewLeaseDuration")} s`;
  }
  if (args.has("InternalClient")) {
    const target = `[${text("InternalClient", 48)}]:${text("InternalPort")}`;
    return `${action} ${text("Protocol")} ${text("RemoteHost", 48)} → ${target} for ${text("LeaseTime")} s`;
  }
  if (args.has("UniqueID")) return `${action} ${text("UniqueID")}`;
  if (args.has("NewExternalPort")) return `${action} ${named}${text("NewProtocol")} ${text("NewExternalPort")}`;
  if (args.has("NewStartPort")) return `${action} ${text("NewProtocol")} ${text("NewStartPort")}-${text("NewEndPort")}`;
  return action;
}
