/** Most groups of an engine: 2 million are about 700 MB of memory. */
export const GROUPS_MAX_DEFAULT = 2_000_000;

/** Most bytes of state of an engine, estimated from the state alone: 1 GiB. */
export const BYTES_MAX_DEFAULT: number = 2 ** 30;
