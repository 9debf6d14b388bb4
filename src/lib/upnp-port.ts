/** TCP: descriptions, control and events of UPnP, at the served addresses. Fixed, so that a client can be told where it is. */
export const UPNP_HTTP_PORT = 49001;
