import { availableParallelism } from 'node:os';
import type { DetectCounters, DetectOptions, Detector } from '@tracehound/detect';
import { formatProblem, type LogSource, type OnMatch, type RuleSetCompiled } from '@tracehound/sigma';
import { createDetectRun } from '../events/detect-run.ts';
import { parseDuration } from '../events/duration.ts';
import type { EventEnricher } from '../events/event-enricher.ts';
import { EventInputError, openEvents } from '../events/event-input.ts';
import type { StreamCounters } from '../events/event-stream.ts';
import { loadRules } from '../events/load-rules.ts';
import { parseLogSource } from '../events/log-source.ts';
import { readPlaceholderLists } from '../events/placeholder-lists.ts';
import { createProgress } from '../events/progress.ts';
import { createResultWriter, type ResultFormat } from '../events/result-writer.ts';
import { counted } from '../render/counted.ts';
import type { Terminal } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';

export type DetectFlags = {
  readonly rules: readonly string[];
  readonly events: string;
  readonly pipeline?: readonly string[];
  readonly logsource?: string;
  readonly timeField?: string;
  readonly idField?: string;
  readonly lateness: string;
  readonly onMatch?: OnMatch;
  readonly jobs: number;
  readonly format: ResultFormat;
  readonly explain?: true;
  readonly expand?: readonly string[];
  readonly profile?: string;
  /** Adds what an account's past in the file says. */
  readonly enrich?: true;
  /** MaxMind DB files for `enrich`. */
  readonly geoDb?: readonly string[];
  /** States of `enrich` held at once; default a million. */
  readonly enrichStates?: number;
};

/** Lines that are no events are named up to here, then only counted. */
const INVALID_NAMED_MAX = 10;

/** About 300 MB. */
const ENRICH_STATES_DEFAULT = 1_000_000;

/** Ended by a signal, as shells report it. */
const INTERRUPTED = 130;

/**
 * `tracehound detect`: results on stdout, everything else on stderr. Exit code 0 whatever was found, 2 for rules or input
 * that cannot be used, 130 when interrupted; what was decided until then is printed.
 */
export async function runDetect(
  flags: DetectFlags,
  { terminal, stdout, stderr, interrupted }: DetectContext,
): Promise<number> {
  const options: DetectOptions = {
    latenessMs: parseDuration(flags.lateness, '--lateness'),
    ...(flags.onMatch === undefined ? {} : { onMatch: flags.onMatch }),
  };
  const jobs = flags.jobs === 0 ? availableParallelism() : flags.jobs;
  const enricher = await enricherOf(flags, jobs);
  const logSource = flags.logsource === undefined ? undefined : parseLogSource(flags.logsource);
  const { ruleSet, refused } = loadRules(flags.rules, flags);
  for (const problem of refused) terminal.note(`refused ${formatProblem(problem)}`);
  const input = await openEvents(flags.events);

  const writer = createResultWriter(stdout, flags.format, { colours: terminal.outColours });
  const progress = createProgress(stderr, { bytesTotal: input.bytesTotal });
  let stop = false;
  void interrupted.then(() => {
    stop = true;
    input.stop();
  });
  const run = createDetectRun({
    ruleSet,
    detect: options,
    expand: readPlaceholderLists(flags.expand),
    reader: readerOptions(flags, logSource),
    jobs,
    ...(enricher === null ? {} : { enrich: enricher.enrich }),
    explain: flags.explain ?? false,
    onResult: writer.add,
    onInvalid: invalidLines(terminal, progress.clear),
    afterChunk: () => {
      progress.update({ bytes: input.bytesRead(), events: run.stream.events });
      return writer.flush();
    },
    stopped: () => stop,
  });
  let broken: EventInputError | undefined;
  try {
    await run.read(input);
  } catch (error) {
    if (!(error instanceof EventInputError)) throw error;
    broken = error;
  }
  if (!stop) run.end();
  await writer.end();
  progress.clear();
  for (const note of summary({ ruleSet, refused: refused.length, stream: run.stream, found: run.counters() }))
    terminal.note(note);
  for (const gap of gapNotes(run.takeGaps())) terminal.note(gap);
  if (enricher !== null && enricher.dropped > 0)
    terminal.note(
      `${counted(enricher.dropped, 'state')} of enrichers dropped for want of room: those accounts count as never seen; raise --enrich-states`,
    );
  terminal.note(counted(writer.count, 'result'));
  if (broken && !stop) {
    terminal.note(`tracehound: ${broken.message}; results are those of what could be read`);
    return 2;
  }
  if (stop) {
    terminal.note('interrupted: what was decided so far is printed, open windows are not decided');
    return INTERRUPTED;
  }
  return 0;
}

export type DetectContext = {
  readonly terminal: Terminal;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WriteStream;
  /** Resolves when the user wants an end. */
  readonly interrupted: Promise<void>;
};

/** Loaded only when it is asked for: the start of every other run is shorter. */
async function enricherOf(
  { enrich, geoDb = [], enrichStates }: DetectFlags,
  jobs: number,
): Promise<EventEnricher | null> {
  if (!enrich) {
    if (geoDb.length > 0 || enrichStates !== undefined)
      throw new UsageError('--geo-db and --enrich-states say something of --enrich: add it');
    return null;
  }
  if (jobs > 1) throw new UsageError('--enrich needs the events in their order: leave --jobs at 1');
  const { createEventEnricher, openGeoDatabases } = await import('../events/event-enricher.ts');
  return createEventEnricher({
    geo: openGeoDatabases(geoDb),
    statesMax: enrichStates ?? ENRICH_STATES_DEFAULT,
  });
}

function readerOptions(
  flags: DetectFlags,
  logSource: LogSource | undefined,
): { timeField?: string; idField?: string; logSource?: LogSource } {
  return {
    ...(flags.timeField === undefined ? {} : { timeField: flags.timeField }),
    ...(flags.idField === undefined ? {} : { idField: flags.idField }),
    ...(logSource === undefined ? {} : { logSource }),
  };
}

/** Names the first lines that are no events; a file of another kind must not fill the screen. */
function invalidLines(terminal: Terminal, clear: () => void): (line: number, reason: string) => void {
  let named = 0;
  return (line, reason) => {
    if (named > INVALID_NAMED_MAX) return;
    clear();
    terminal.note(named < INVALID_NAMED_MAX ? `line ${line}: ${reason}` : 'further such lines are only counted');
    named++;
  };
}

function summary(of: {
  readonly ruleSet: RuleSetCompiled;
  readonly refused: number;
  readonly stream: StreamCounters;
  readonly found: DetectCounters;
}): string[] {
  const { ruleSet, refused, stream, found } = of;
  const rules = ruleSet.detections.length + ruleSet.correlations.length;
  const notes = [
    `${counted(stream.events, 'event')}, ${counted(rules, 'rule')}${refused > 0 ? `, ${counted(refused, 'problem')} in refused rules` : ''}`,
  ];
  if (stream.invalid > 0) notes.push(`${counted(stream.invalid, 'line')} no events`);
  if (stream.untimed > 0)
    notes.push(`${counted(stream.untimed, 'event')} without a time: took that of the event before`);
  if (found.late > 0)
    notes.push(`${counted(found.late, 'event')} later than --lateness: seen by detections, not by correlations`);
  if (found.duplicates > 0) notes.push(`${counted(found.duplicates, 'detection')} of copies left out`);
  if (found.groupMissing > 0)
    notes.push(
      `${counted(found.groupMissing, 'match', 'matches')} without a group or value field of their correlation`,
    );
  return notes;
}

/** X14: what was dropped is said, once per rule and reason. */
function gapNotes(gaps: ReturnType<Detector['takeGaps']>): string[] {
  const ranges = new Map<string, number>();
  for (const { rule, reason } of gaps) {
    const key = `${rule.description.title}: ${reason}`;
    ranges.set(key, (ranges.get(key) ?? 0) + 1);
  }
  return [...ranges].map(([key, count]) => `results are not exact in ${counted(count, 'range')} of ${key}`);
}
