/**
 * Masquerading moves packets whose source port is mapped or a listener's up here (port shadowing, CVE-2021-3773), so
 * nothing up here may ever be mapped. Linux's default ip_local_port_range ends just below.
 */
export const RESERVED_FIRST = 61000;
export const RESERVED_LAST = 65535;
