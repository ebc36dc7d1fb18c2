import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StackError } from '../errors.ts';
import { cacheDirectory, ensureMirrorMakerJars } from './caches.ts';
import { WARNINGS_TO_STDOUT } from './kafka-server.ts';

/** MirrorMaker 2 of Apache Kafka in a process of its own (dedicated mode). */
export type MirrorMaker = {
  /**
   * Ends it with `signal` (default SIGKILL), resolves once it is gone, and leaves nothing of it. Idempotent.
   * @throws StackError with its last lines when it had ended by itself.
   */
  kill(signal?: NodeJS.Signals): Promise<void>;
};

/** Lines of its log kept for the message of an error. */
const TAIL_LINES = 20;

/**
 * Starts all mirrors of the properties that write to the cluster `target`, an alias in them. Its jars are fetched with Maven, once.
 * It has no port to ask: that it works shows in what it copies, some seconds later.
 * @throws StackError without Maven or Java.
 */
export async function startMirrorMaker(
  { properties, target }: { readonly properties: string; readonly target: string },
  onProgress: (line: string) => void = () => undefined,
): Promise<MirrorMaker> {
  const jars = await ensureMirrorMakerJars(cacheDirectory(process.env), onProgress);
  const directory = await mkdtemp(join(tmpdir(), 'tracehound-mirror-'));
  const at = (name: string): string => join(directory, name);
  await writeFile(at('log4j2.yaml'), WARNINGS_TO_STDOUT);
  await writeFile(at('mirror-maker.properties'), properties);
  const log = openSync(at('mirror-maker.log'), 'a');
  const child = spawn(
    'java',
    [
      ...['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:+ExitOnOutOfMemoryError'],
      `-Dlog4j2.configurationFile=${at('log4j2.yaml')}`,
      ...['-cp', join(jars, '*'), 'org.apache.kafka.connect.mirror.MirrorMaker'],
      ...[at('mirror-maker.properties'), '--clusters', target],
    ],
    { cwd: '/', stdio: ['ignore', log, log] },
  );
  closeSync(log);
  const ended = once(child, 'exit').catch((cause: unknown) => {
    throw new StackError('SEC_STACK_TOOL_FAILED', 'java cannot be run', { cause });
  });
  if (child.pid === undefined) await ended;

  return {
    async kill(signal = 'SIGKILL') {
      const endedByItself = !child.killed && (child.exitCode !== null || child.signalCode !== null);
      child.kill(signal);
      await ended;
      const said = await readFile(at('mirror-maker.log'), 'utf8').catch(() => '');
      await rm(directory, { recursive: true, force: true });
      if (!endedByItself) return;
      const tail = said.trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
      throw new StackError(
        'SEC_STACK_SERVER_FAILED',
        `MirrorMaker to ${target} had ended; its log ends with:\n${tail}`,
      );
    },
  };
}
