/** A closed interval of event time, milliseconds. */
export type Segment = { readonly fromMs: number; readonly toMs: number };
