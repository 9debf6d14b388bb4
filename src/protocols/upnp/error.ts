/** The only error that reading UPnP messages lets out. What was read is not well formed, or is beyond a bound. */
export class UpnpDecodeError extends Error {
  override readonly name = "UpnpDecodeError";
}

/** An answer in the protocol: what a control point asked for cannot be done, and the number says why. */
export class UpnpFault extends Error {
  override readonly name = "UpnpFault";
  readonly number: UpnpErrorNumber;

  constructor(number: UpnpErrorNumber, message: string = UPNP_ERRORS[number]) {
    super(message);
    this.number = number;
  }
}

/** UPnP Device Architecture 1.1 §3.2.2 (401 to 699), WANIPConnection:2 §2.5, WANIPv6FirewallControl:1 §2.5, Layer3Forwarding:1 §2.4 (7xx). */
export const UPNP_ERRORS = {
  401: "Invalid Action",
  402: "Invalid Args",
  404: "Invalid Var",
  501: "Action Failed",
  600: "Argument Value Invalid",
  601: "Argument Value Out of Range",
  603: "Out of Memory",
  605: "String Argument Too Long",
  606: "Action not authorized",
  701: "PinholeSpaceExhausted",
  702: "FirewallDisabled",
  703: "InboundPinholeNotAllowed",
  704: "ConnectionSetupFailed",
  705: "ProtocolNotSupported",
  706: "InternalPortWildcardingNotAllowed",
  707: "ProtocolWildcardingNotAllowed",
  709: "NoPacketSent",
  713: "SpecifiedArrayIndexInvalid",
  714: "NoSuchEntryInArray",
  715: "WildCardNotPermittedInSrcIP",
  716: "WildCardNotPermittedInExtPort",
  718: "ConflictInMappingEntry",
  720: "InvalidDeviceUUID",
  721: "InvalidServiceID",
  723: "InvalidConnServiceSelection",
  728: "NoPortMapsAvailable",
  729: "ConflictWithOtherMechanisms",
  730: "PortMappingNotFound",
  731: "ReadOnly",
  732: "WildCardNotPermittedInIntPort",
  733: "InconsistentParameters",
  // Of X_START9_AddHostnameMapping.
  800: "HostnameTaken",
  801: "HostnameNotSupported",
} as const;

export type UpnpErrorNumber = keyof typeof UPNP_ERRORS;
