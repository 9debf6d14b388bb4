/** How a device is named on the command line. */
export const DEVICE = "name or id of the device";
export const devicePath = (name: string): string => `/devices/${encodeURIComponent(name)}`;
