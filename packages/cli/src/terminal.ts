/** Where a command speaks: machine output on stdout, everything else on stderr (ARCHITECTURE 4). */
export type Terminal = {
  /** Machine output. */
  out(text: string): void;
  /** Everything people read while something runs. */
  note(text: string): void;
  /** May stderr be coloured? */
  readonly noteColours: boolean;
  /** May stdout be coloured? */
  readonly outColours: boolean;
  readonly width: number;
};

/** `NO_COLOR` (any value, no-color.org) and pipes switch colours off; `FORCE_COLOR` switches them on. */
function coloursOf(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv): boolean {
  if (env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '') return false;
  if (env['FORCE_COLOR'] !== undefined && env['FORCE_COLOR'] !== '0') return true;
  return stream.isTTY === true;
}

export function createTerminal(env: NodeJS.ProcessEnv = process.env): Terminal {
  return {
    out: (text) => void process.stdout.write(`${text}\n`),
    note: (text) => void process.stderr.write(`${text}\n`),
    noteColours: coloursOf(process.stderr, env),
    outColours: coloursOf(process.stdout, env),
    width: Math.min(process.stderr.columns ?? 100, 120),
  };
}
