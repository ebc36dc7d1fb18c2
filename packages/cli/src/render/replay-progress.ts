import { counted } from './counted.ts';
import type { ReplayProgress } from './replay.ts';

/** One line on a terminal; nothing in a pipe. */
export function createReplayProgress(stream: NodeJS.WriteStream): (progress: ReplayProgress) => void {
  if (!stream.isTTY) return () => undefined;
  return ({ done, total }) => {
    stream.write(done < total ? `\r\u001b[K${counted(done, 'record')} of ${counted(total, 'record')}` : '\r\u001b[K');
  };
}
