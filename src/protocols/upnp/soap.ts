import { UPNP_ERRORS, UpnpDecodeError, UpnpFault, type UpnpErrorNumber } from "./error.ts";
import { parseUpnpType, typeText, type UpnpType } from "./upnp-type.ts";
import { childOf, readXml, textOf, XML_DECLARATION, type XmlElement, type XmlLimits, xmlElement } from "./xml.ts";

const ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/";
const ENCODING = "http://schemas.xmlsoap.org/soap/encoding/";
const CONTROL = "urn:schemas-upnp-org:control-1-0";
const ACTION = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;

/** Of a request, or of an answer that a gateway gives to our own: the largest is a list of its port mappings. */
export const REQUEST_LIMITS: XmlLimits = { bytes: 16 * 1024, depth: 16, elements: 64 };
export const RESPONSE_LIMITS: XmlLimits = { bytes: 256 * 1024, depth: 16, elements: 64 };

/** What the SOAPAction header names: UPnP Device Architecture 1.1 §3.2.1. */
export interface ActionName {
  readonly service: UpnpType;
  readonly action: string;
}

/** A call of an action, or its answer. */
export interface ActionCall extends ActionName {
  readonly args: ReadonlyMap<string, string>;
}

/** `"urn:…:WANIPConnection:1#AddPortMapping"`, with or without the quotes, which some clients forget. */
export function parseSoapAction(header: string): ActionName | null {
  const [, quoted, bare] = /^(?:"([^"]*)"|([^"]*))$/.exec(header.trim()) ?? [];
  const text = quoted ?? bare ?? "";
  const hash = text.indexOf("#");
  const service = hash < 0 ? null : parseUpnpType(text.slice(0, hash));
  const action = text.slice(hash + 1);
  return service?.kind !== "service" || !ACTION.test(action) ? null : { service, action };
}

export const soapActionText = ({ service, action }: ActionName): string => `"${typeText(service)}#${action}"`;

export function decodeCall(body: Uint8Array): ActionCall {
  const element = actionElement(readXml(body, REQUEST_LIMITS));
  if (element.namespace === CONTROL && element.name === "QueryStateVariable")
    throw new VariableQuery("QueryStateVariable: the values of variables are had by actions and by events");
  return callOf(element);
}

/** A query for the value of a variable, which UPnP Device Architecture 1.0 §3.3 lets devices not answer, and 1.1 §3.3 left out. */
export class VariableQuery extends UpnpDecodeError {}

/** What a gateway answered: the values, or the fault that says why not. */
export function decodeResponse(body: Uint8Array): ActionCall | UpnpFault {
  const element = actionElement(readXml(body, RESPONSE_LIMITS));
  if (element.name === "Fault" && element.namespace === ENVELOPE) return faultOf(element);
  const { action, ...call } = callOf(element);
  if (!action.endsWith("Response")) throw new UpnpDecodeError(`<${action}> is no response`);
  return { ...call, action: action.slice(0, -"Response".length) };
}

function actionElement(root: XmlElement): XmlElement {
  if (root.name !== "Envelope" || root.namespace !== ENVELOPE) throw new UpnpDecodeError("not a SOAP 1.1 envelope");
  const body = childOf(root, "Body", ENVELOPE);
  const [element, another] = body?.children ?? [];
  if (element === undefined || another !== undefined)
    throw new UpnpDecodeError("the body holds not exactly one element");
  return element;
}

function callOf(element: XmlElement): ActionCall {
  const service = parseUpnpType(element.namespace);
  if (service?.kind !== "service") throw new UpnpDecodeError("the action is in no namespace of a service");
  const args = new Map<string, string>();
  for (const { name, children, text } of element.children) {
    if (children.length > 0) throw new UpnpDecodeError(`argument <${name}> holds elements`);
    if (args.has(name)) throw new UpnpDecodeError(`argument <${name}> is there twice`);
    args.set(name, text);
  }
  return { service, action: element.name, args };
}

function faultOf(fault: XmlElement): UpnpFault {
  const detail = childOf(fault, "detail");
  const error = detail === undefined ? undefined : childOf(detail, "UPnPError");
  const number = error === undefined ? null : textOf(error, "errorCode");
  if (error === undefined || number === null || !/^\d{3}$/.test(number))
    throw new UpnpDecodeError("a SOAP fault that is none of UPnP");
  const known = number in UPNP_ERRORS ? (Number(number) as UpnpErrorNumber) : 501;
  const said = textOf(error, "errorDescription") ?? "";
  return new UpnpFault(known, known === Number(number) ? said.slice(0, 256) : `${number} ${said.slice(0, 256)}`);
}

/** A document as a value: written as CDATA, as miniupnpc reads it in no other way. What is in it has its ">" escaped. */
export interface DocumentValue {
  readonly document: string;
}

export type Values = Iterable<readonly [name: string, value: string | number | DocumentValue]>;

export const encodeCall = ({ service, action }: ActionName, args: Values): string => envelope(service, action, args);
export const encodeResponse = ({ service, action }: ActionName, values: Values): string =>
  envelope(service, `${action}Response`, values);

function envelope(service: UpnpType, element: string, values: Values): string {
  const inside = [...values].map(([name, value]) =>
    typeof value === "object" ? `<${name}><![CDATA[${value.document}]]></${name}>` : xmlElement(name, value),
  );
  return wrapped(`<u:${element} xmlns:u="${typeText(service)}">${inside.join("")}</u:${element}>`);
}

/** UPnP Device Architecture 1.1 §3.2.2. Never without a description: igd-next takes none for a broken answer. */
export function encodeFault({ number, message }: UpnpFault): string {
  const error = `${xmlElement("errorCode", number)}${xmlElement("errorDescription", message === "" ? UPNP_ERRORS[number] : message)}`;
  return wrapped(
    "<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring>" +
      `<detail><UPnPError xmlns="${CONTROL}">${error}</UPnPError></detail></s:Fault>`,
  );
}

const wrapped = (body: string): string =>
  `${XML_DECLARATION}<s:Envelope xmlns:s="${ENVELOPE}" s:encodingStyle="${ENCODING}"><s:Body>${body}</s:Body></s:Envelope>\n`;
