import type { DetectResult } from '@tracehound/detect';
import { reasonLines } from '../render/explanation.ts';
import type { ExplainedResult } from './explaining-detector.ts';

export type ResultFormat = 'ndjson' | 'table' | 'json';

/** Characters gathered before they are written: one system call for some 250 results. */
const WRITE_AT = 65_536;

/** Writes results as they come, without ever holding more than a page of them. */
export type ResultWriter = {
  add(result: ExplainedResult): void;
  /** Resolves when the reader has taken what was written; awaited between reads, so that memory stays bounded. */
  flush(): Promise<void>;
  end(): Promise<void>;
  readonly count: number;
};

/** @see ResultWriter */
export function createResultWriter(
  stream: NodeJS.WritableStream,
  format: ResultFormat,
  { colours = false }: { readonly colours?: boolean } = {},
): ResultWriter {
  const text = textOf(format, colours);
  let page = '';
  let count = 0;
  let drained: Promise<void> = Promise.resolve();
  let isFull = false;

  function write(): void {
    if (page === '') return;
    const isTaken = stream.write(page);
    page = '';
    if (isTaken || isFull) return;
    isFull = true;
    drained = new Promise((done) => {
      stream.once('drain', () => {
        isFull = false;
        done();
      });
    });
  }

  return {
    add: (result) => {
      page += text.line(result, count);
      count++;
      if (page.length >= WRITE_AT) write();
    },
    flush: () => {
      write();
      return drained;
    },
    end: () => {
      page += text.tail(count);
      write();
      return drained;
    },
    get count() {
      return count;
    },
  };
}

type ResultText = { line(result: ExplainedResult, index: number): string; tail(count: number): string };

function textOf(format: ResultFormat, colours: boolean): ResultText {
  switch (format) {
    case 'ndjson':
      return { line: (result) => `${JSON.stringify(result)}\n`, tail: () => '' };
    case 'json':
      return {
        line: (result, index) => `${index === 0 ? '[' : ','}\n${JSON.stringify(result)}`,
        tail: (count) => (count === 0 ? '[]\n' : '\n]\n'),
      };
    case 'table':
      return {
        line: (result, index) => {
          const reason = result.explain ? reasonLines(result.explain, colours) : [];
          return `${[...(index === 0 ? [HEADINGS] : []), row(result, colours), ...reason].join('\n')}\n`;
        },
        tail: (count) => (count === 0 ? 'no results\n' : ''),
      };
  }
}

const HEADINGS = [
  'AT'.padEnd(24),
  'KIND'.padEnd(11),
  'LEVEL'.padEnd(13),
  'RULE'.padEnd(44),
  'COUNT'.padStart(5),
  'GROUP',
].join('  ');

/** ANSI colour of a level. */
const COLOURS: Readonly<Record<string, string>> = { critical: '1;31', high: '31', medium: '33', low: '36' };

function row(result: DetectResult, colours: boolean): string {
  const colour = colours ? COLOURS[result.level] : undefined;
  const level = result.level.padEnd(13);
  const title = result.rule_title.length > 44 ? `${result.rule_title.slice(0, 43)}…` : result.rule_title;
  const group = Object.entries(result.group ?? {}).map(([field, value]) => `${field}=${plain(String(value))}`);
  return [
    result.at,
    result.kind.padEnd(11),
    colour === undefined ? level : `\u001b[${colour}m${level}\u001b[0m`,
    plain(title).padEnd(44),
    String(result.count).padStart(5),
    group.length > 0 ? group.join(' ') : plain(result.event_ids[0] ?? ''),
  ]
    .join('  ')
    .trimEnd();
}

/** Values come from events: what could steer a terminal is shown as a question mark. */
function plain(text: string): string {
  return text.replace(/\p{C}/gu, '?');
}
