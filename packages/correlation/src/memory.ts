/**
 * How much of its state an engine holds in which form. Decides memory and speed, never a result: any values give the same
 * records and the same bytes of state.
 */
export type EngineMemory = {
  /** Groups that stay decoded, so that hot keys cost nothing; the others lie packed, some 30 bytes per hit. */
  readonly decodedGroupsMax: number;
  /** Estimated bytes of decoded groups. */
  readonly decodedBytesMax: number;
  /**
   * Bytes of packed groups beyond which those that were used longest ago are cold: the engine knows that they exist and when
   * they are over, and the store alone has what is in them. Infinity: nothing is ever cold.
   */
  readonly packedBytesMax: number;
};

/** 32,768 decoded groups of 64 MB at most, all others packed in memory. */
export const ENGINE_MEMORY: EngineMemory = {
  decodedGroupsMax: 32_768,
  decodedBytesMax: 2 ** 26,
  packedBytesMax: Number.POSITIVE_INFINITY,
};
