/** 32 bytes in base64, as WireGuard writes a key: the last of 43 digits holds four bits. */
export const WIREGUARD_KEY = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;
