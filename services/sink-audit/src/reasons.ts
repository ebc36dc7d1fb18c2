/** Why a record did not become a row: the closed list behind verdicts, dead letters and the `reason` label. */
export type SinkReason =
  /** A marker of the correlator: no event, counted in `markers_total`. */
  | 'marker'
  /** Below the stored offset: it is a row already. */
  | 'redelivered'
  /** No value and no marker header. */
  | 'no_value'
  /** The value does not begin with the Confluent frame. */
  | 'not_framed'
  /** The registry does not know the schema id. */
  | 'unknown_schema'
  /** The bytes are not a record of their schema. */
  | 'undecodable'
  /** The registry does not answer: nothing is lost, the partition waits. */
  | 'registry_unavailable'
  /** A record of a type that has no place on this topic. */
  | 'unexpected_record'
  /** An id that must be a UUID is none. */
  | 'invalid_id'
  /** PostgreSQL refuses the row for what is in it. */
  | 'row_refused';
