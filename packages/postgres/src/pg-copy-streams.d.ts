/** The package ships no types; only what this package uses is declared. */
declare module 'pg-copy-streams' {
  import type { Writable } from 'node:stream';
  import type { Submittable } from 'pg';

  export class CopyStreamQuery extends Writable implements Submittable {
    submit(connection: import('pg').Connection): void;
    rowCount: number;
  }
  export function from(text: string): CopyStreamQuery;
}
