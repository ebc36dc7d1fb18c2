/**
 * Version of group blobs. A release reads its own and the one before, and writes its own unless it is told to write as the one
 * before did: so fleets can be upgraded and downgraded one process at a time (X8). Version 3 writes hits as distances throughout.
 */
export type StateVersion = 2 | 3;

export const STATE_VERSION: StateVersion = 3;

export const STATE_VERSION_BEFORE: StateVersion = 2;
