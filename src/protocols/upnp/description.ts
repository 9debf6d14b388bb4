import { UpnpDecodeError } from "./error.ts";
import { readXml, childOf, textOf, XML_DECLARATION, type XmlElement, type XmlLimits, xmlElement } from "./xml.ts";

const DEVICE = "urn:schemas-upnp-org:device-1-0";
const LIMITS: XmlLimits = { bytes: 128 * 1024, depth: 16, elements: 1024 };
/** UPnP Device Architecture 1.1 §2.3: most of the texts should be shorter than this. */
const TEXT_MAX = 63;

/** UPnP Device Architecture 1.1 §2.3, in the order in which its elements stand. */
export interface DeviceDescription {
  readonly deviceType: string;
  readonly friendlyName: string;
  readonly manufacturer: string;
  readonly modelDescription: string;
  readonly modelName: string;
  readonly modelNumber: string;
  readonly serialNumber: string;
  /** With `uuid:`. */
  readonly udn: string;
  readonly services: readonly ServiceDescription[];
  readonly devices: readonly DeviceDescription[];
}

export interface ServiceDescription {
  readonly serviceType: string;
  readonly serviceId: string;
  readonly scpdUrl: string;
  readonly controlUrl: string;
  readonly eventSubUrl: string;
}

export function encodeDescription(device: DeviceDescription, configId: number): string {
  return (
    `${XML_DECLARATION}<root xmlns="${DEVICE}" configId="${configId}">` +
    `<specVersion><major>1</major><minor>1</minor></specVersion>${deviceText(device)}</root>\n`
  );
}

function deviceText(device: DeviceDescription): string {
  const { services, devices } = device;
  const text = (name: string, value: string): string => xmlElement(name, Array.from(value).slice(0, TEXT_MAX).join(""));
  return `<device>${[
    xmlElement("deviceType", device.deviceType),
    text("friendlyName", device.friendlyName),
    text("manufacturer", device.manufacturer),
    text("modelDescription", device.modelDescription),
    text("modelName", device.modelName),
    text("modelNumber", device.modelNumber),
    text("serialNumber", device.serialNumber),
    xmlElement("UDN", device.udn),
    services.length === 0 ? "" : `<serviceList>${services.map(serviceText).join("")}</serviceList>`,
    devices.length === 0 ? "" : `<deviceList>${devices.map(deviceText).join("")}</deviceList>`,
  ].join("")}</device>`;
}

function serviceText({ serviceType, serviceId, scpdUrl, controlUrl, eventSubUrl }: ServiceDescription): string {
  const parts = [
    xmlElement("serviceType", serviceType),
    xmlElement("serviceId", serviceId),
    xmlElement("SCPDURL", scpdUrl),
    xmlElement("controlURL", controlUrl),
    xmlElement("eventSubURL", eventSubUrl),
  ];
  return `<service>${parts.join("")}</service>`;
}

export interface ReadDescription {
  /** What relative addresses are relative to, where that is not the document's own address. */
  readonly urlBase: string | null;
  readonly device: DeviceDescription;
}

/** What another gateway says of itself. Addresses stay as they were written: whom to believe is the reader's matter. */
export function decodeDescription(document: Uint8Array): ReadDescription {
  const root = readXml(document, LIMITS);
  const device = childOf(root, "device");
  if (root.name !== "root" || device === undefined) throw new UpnpDecodeError("not a device description");
  return { urlBase: textOf(root, "URLBase"), device: readDevice(device) };
}

function readDevice(element: XmlElement): DeviceDescription {
  const text = (name: string): string => textOf(element, name) ?? "";
  const inside = (list: string, name: string): XmlElement[] =>
    (childOf(element, list)?.children ?? []).filter((child) => child.name === name);
  if (text("deviceType") === "") throw new UpnpDecodeError("a device without a type");
  return {
    deviceType: text("deviceType"),
    friendlyName: text("friendlyName"),
    manufacturer: text("manufacturer"),
    modelDescription: text("modelDescription"),
    modelName: text("modelName"),
    modelNumber: text("modelNumber"),
    serialNumber: text("serialNumber"),
    udn: text("UDN"),
    services: inside("serviceList", "service").map(readService),
    devices: inside("deviceList", "device").map(readDevice),
  };
}

function readService(element: XmlElement): ServiceDescription {
  const text = (name: string): string => textOf(element, name) ?? "";
  if (text("serviceType") === "") throw new UpnpDecodeError("a service without a type");
  return {
    serviceType: text("serviceType"),
    serviceId: text("serviceId"),
    scpdUrl: text("SCPDURL"),
    controlUrl: text("controlURL"),
    eventSubUrl: text("eventSubURL"),
  };
}
