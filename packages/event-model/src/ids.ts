declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** The tenant of a record key (`intake_org`); `platform` for events without a subject organization (X13). */
export type OrganizationId = Brand<string, 'OrganizationId'>;
/** UUID in lower case; UUIDv7 unless the source has ids of its own. */
export type EventId = Brand<string, 'EventId'>;
/** 32 lower-case hex digits, not all zero (W3C Trace Context, section 3.2.2.3). */
export type TraceId = Brand<string, 'TraceId'>;
/** Sigma rule id. */
export type RuleId = Brand<string, 'RuleId'>;

/** Reserved tenant for events whose subject organization is null (X13). */
export const PLATFORM_ORGANIZATION: OrganizationId = 'platform' as OrganizationId;

/**
 * Watermark of a source that has ended (X4 `end_of_input`): above every real time, and 4 * value + 3, the
 * largest alert revision (X10.13), still is an exact double.
 */
export const END_OF_INPUT_WATERMARK_MS: number = 2_000_000_000_000_000;

/** Watermark before every source has spoken; below every real time. */
export const NO_WATERMARK_MS: number = -END_OF_INPUT_WATERMARK_MS;
