import type { Estimate } from '../replay/estimate.ts';
import { columns } from './columns.ts';
import { counted } from './counted.ts';

/** What a run over the log would read and cost, and how that is known. Offsets have holes, so all of it is `at most`. */
export function renderEstimate({ parts, recordsMax, bytesMax, expectedMs, sample }: Estimate): string {
  const rows = parts.map(({ topic, partition, from, until }) => [
    topic,
    String(partition),
    String(from),
    String(until),
    (until - from).toLocaleString('en-US'),
  ]);
  const costs = [
    counted(recordsMax, 'record'),
    ...(bytesMax === null ? [] : [bytesText(bytesMax)]),
    expectedMs === null ? 'time unknown' : spanText(expectedMs),
  ];
  return [
    columns(['TOPIC', 'PARTITION', 'FROM', 'UNTIL', 'RECORDS <='], rows),
    `at most ${costs.join(', ')}; this was only an estimate`,
    derivation(sample),
    'offsets count markers, transaction control and what was deleted too: there may be fewer records',
  ].join('\n');
}

/** The same for machines, on one line. */
export function estimateJson({ parts, recordsMax, bytesMax, expectedMs, sample }: Estimate): string {
  return JSON.stringify({
    kind: 'estimate',
    parts: parts.map(({ topic, partition, from, until }) => ({
      topic,
      partition,
      from: String(from),
      until: String(until),
    })),
    records_max: recordsMax,
    bytes_max: bytesMax,
    expected_ms: expectedMs === null ? null : Math.ceil(expectedMs),
    sample: {
      records: sample.records,
      bytes: sample.bytes,
      records_per_second: sample.recordsPerSecond === null ? null : Math.round(sample.recordsPerSecond),
      elapsed_ms: Math.ceil(sample.elapsedMs),
      is_all: sample.isAll,
    },
  });
}

function derivation({ records, bytes, recordsPerSecond, elapsedMs, isAll }: Estimate['sample']): string {
  if (records === 0) return 'nothing to sample: the range has no record';
  const mean = `${counted(Math.round(bytes / records), 'byte')} a record unpacked`;
  if (isAll) return `measured: all of it, ${counted(records, 'record')} in ${spanText(elapsedMs)}; ${mean}`;
  const rate =
    recordsPerSecond === null
      ? 'too few to tell a rate'
      : `${counted(Math.round(recordsPerSecond), 'record')}/s through the engine (second half of it)`;
  return `measured on the first ${counted(records, 'record')}, ${spanText(elapsedMs)}: ${rate}, ${mean}`;
}

function bytesText(bytes: number): string {
  return bytes < 100_000 ? counted(bytes, 'byte') : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** `less than 1 s`, `12 s`, `3 min 20 s`, `2 h 5 min`; rounded up. */
export function spanText(ms: number): string {
  if (ms < 1_000) return 'less than 1 s';
  const seconds = Math.ceil(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min${seconds % 60 > 0 ? ` ${seconds % 60} s` : ''}`;
  return `${Math.floor(minutes / 60)} h${minutes % 60 > 0 ? ` ${minutes % 60} min` : ''}`;
}
