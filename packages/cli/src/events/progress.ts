/** Milliseconds between two looks at the clock's face: four a second are smooth enough. */
const EVERY_MS = 250;

/** One line on a terminal that says how far a run has come. */
export type Progress<State> = {
  /** Cheap: draws at most four times a second. */
  readonly update: (state: State) => void;
  /** Takes the line away, so that what follows stands alone. */
  readonly clear: () => void;
};

type Read = { readonly bytes: number; readonly events: number };

/** Draws on `stream` when it is a terminal, else not at all. `bytesTotal` null: there is no end to foresee. */
export function createProgress(
  stream: NodeJS.WriteStream,
  { bytesTotal, now }: { readonly bytesTotal: number | null; readonly now?: () => number },
): Progress<Read> {
  return createLine(stream, (read, elapsedMs) => progressText({ ...read, bytesTotal, elapsedMs }), now);
}

/** A line that is drawn anew. `textOf` gets the state and the ms since the line was made. */
export function createLine<State>(
  stream: NodeJS.WriteStream,
  textOf: (state: State, elapsedMs: number) => string,
  now: () => number = () => performance.now(),
): Progress<State> {
  if (stream.isTTY !== true) return { update: () => {}, clear: () => {} };
  const beganMs = now();
  let drawnMs = beganMs;
  return {
    update: (state) => {
      const atMs = now();
      if (atMs - drawnMs < EVERY_MS) return;
      drawnMs = atMs;
      const text = textOf(state, atMs - beganMs);
      stream.write(`\r\u001b[K${text.slice(0, Math.max(20, (stream.columns ?? 80) - 1))}`);
    },
    clear: () => {
      if (drawnMs > beganMs) stream.write('\r\u001b[K');
    },
  };
}

/** `12.3 of 361.0 MB (3 %), 240,000 events, 480,000 events/s, 14 s left`. */
export function progressText(state: {
  readonly bytes: number;
  readonly events: number;
  readonly bytesTotal: number | null;
  readonly elapsedMs: number;
}): string {
  const { bytes, events, bytesTotal, elapsedMs } = state;
  const seconds = Math.max(elapsedMs / 1_000, 0.001);
  const rate = `${count(events)} events, ${count(Math.round(events / seconds))} events/s`;
  if (bytesTotal === null || bytesTotal === 0) return `${megabytes(bytes)} MB, ${rate}`;
  const share = Math.min(bytes / bytesTotal, 1);
  const left = share > 0 ? `, ${Math.ceil((seconds * (1 - share)) / share)} s left` : '';
  return `${megabytes(bytes)} of ${megabytes(bytesTotal)} MB (${Math.floor(share * 100)} %), ${rate}${left}`;
}

function megabytes(bytes: number): string {
  return (bytes / 1_000_000).toFixed(1);
}

function count(number: number): string {
  return number.toLocaleString('en-US');
}
