import {
  createDecider,
  createDetector,
  type DetectCounters,
  type DetectOptions,
  type Detector,
  type DetectResult,
  type EventReaderOptions,
} from '@tracehound/detect';
import type { PlaceholderLists, RuleSetCompiled } from '@tracehound/sigma';
import type { EventInput } from './event-input.ts';
import {
  createEventStream,
  type EventStreamOptions,
  LINE_BYTES_MAX,
  readEvents,
  type StreamCounters,
} from './event-stream.ts';
import { createExplainingDetector } from './explaining-detector.ts';
import { createLineBlocks } from './line-blocks.ts';
import type { MatchedBlock } from './match-block.ts';
import { createMatchPool } from './match-pool.ts';

/** One run of rules over one input. */
export type DetectRun = {
  /** Reads to the end, or until it is stopped. */
  read(input: EventInput): Promise<void>;
  /** Closes the input: every window is decided. */
  end(): void;
  readonly stream: Readonly<StreamCounters>;
  counters(): DetectCounters;
  takeGaps: Detector['takeGaps'];
};

export type DetectRunOptions = {
  readonly ruleSet: RuleSetCompiled;
  /** The lists the rules were loaded with: each thread loads them again. */
  readonly expand: PlaceholderLists;
  readonly detect: DetectOptions;
  readonly reader: EventReaderOptions;
  readonly jobs: number;
  readonly explain: boolean;
  /** Needs the events in their order: one thread. */
  readonly enrich?: EventStreamOptions['enrich'];
  onResult(result: DetectResult): void;
  onInvalid(line: number, reason: string): void;
  /** Awaited between reads. */
  afterChunk(): Promise<void>;
  stopped(): boolean;
};

/** One thread, or `jobs` threads that parse and match while this one decides; the results are the same. */
export function createDetectRun(options: DetectRunOptions): DetectRun {
  return options.jobs > 1 && !options.explain && !options.enrich ? parallelRun(options) : sequentialRun(options);
}

function sequentialRun(options: DetectRunOptions): DetectRun {
  const { ruleSet, detect, reader, explain, enrich, onResult, onInvalid } = options;
  const detector = explain ? createExplainingDetector(ruleSet, detect) : createDetector(ruleSet, detect);
  const stream = createEventStream({
    ...reader,
    ...(enrich === undefined ? {} : { enrich }),
    onEvent: (event) => {
      for (const result of detector.push(event)) onResult(result);
    },
    onInvalid,
  });
  return {
    read: (input) => readEvents(input, stream, options),
    end: () => {
      for (const result of detector.end()) onResult(result);
    },
    stream: stream.counters,
    counters: () => detector.counters(),
    takeGaps: () => detector.takeGaps(),
  };
}

const NOTHING_MATCHED = { findings: [], matches: [], groupMissing: 0 } as const;

function parallelRun(options: DetectRunOptions): DetectRun {
  const { ruleSet, expand, detect, reader, jobs, onResult, onInvalid } = options;
  const decider = createDecider(ruleSet, detect);
  const stream: StreamCounters = { events: 0, invalid: 0, untimed: 0 };
  let lines = 0;
  let previousMs = 0;

  /** Events of a block in their order; those no rule wants still move time on. */
  function decide(block: MatchedBlock): void {
    let next = 0;
    for (let index = 0; index < block.timesMs.length; index++) {
      let timeMs = block.timesMs[index] as number;
      if (Number.isNaN(timeMs)) {
        timeMs = previousMs;
        stream.untimed++;
      }
      previousMs = timeMs;
      stream.events++;
      const hit = block.hits[next];
      if (hit?.index === index) {
        next++;
        const { id, line, organization, instance, sequence, matched } = hit;
        const place = { id: id ?? `line:${lines + line}`, timeMs, organization, instance, sequence };
        for (const result of decider.push(place, matched)) onResult(result);
      } else {
        for (const result of decider.push({ id: '', timeMs, organization: '' }, NOTHING_MATCHED)) onResult(result);
      }
    }
    for (const [line, reason] of block.invalid) {
      stream.invalid++;
      onInvalid(lines + line, reason);
    }
    lines += block.lines;
  }

  async function read(input: EventInput): Promise<void> {
    const { files, pipelines } = ruleSet;
    const pool = createMatchPool(jobs, { files, pipelines, expand, options: reader }, decide);
    const blocks = createLineBlocks(LINE_BYTES_MAX);
    try {
      for await (const chunk of input.chunks()) {
        const block = blocks.push(chunk);
        if (block) await pool.add(block);
        await options.afterChunk();
        if (options.stopped()) break;
      }
      const last = options.stopped() ? null : blocks.end();
      if (last) await pool.add(last);
    } finally {
      // Also when the input broke: what was read before counts.
      try {
        await pool.finish();
      } finally {
        await pool.close();
      }
    }
  }

  return {
    read,
    end: () => {
      for (const result of decider.end()) onResult(result);
    },
    stream,
    counters: () => decider.counters(),
    takeGaps: () => decider.takeGaps(),
  };
}
