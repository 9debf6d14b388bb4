/** WANIPConnection:2 §2.5.16: a control point that nobody authenticated gets none below; of pinholes neither. */
export const PORT_FIRST = 1024;
/** Remote hosts of one mapping, and whoever else claims it. */
export const CLAIMS_MAX = 16;
