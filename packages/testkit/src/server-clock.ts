import { execFile } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { kindOf, type PartKind } from '@tracehound/stack';
import { type OwnStack, openOwnStack } from './own-stack.ts';

const run = promisify(execFile);
const SOURCE = fileURLToPath(new URL('./server-clock.c', import.meta.url));

/** The wall clock of servers that a test starts with `environment`. */
type ServerClock = {
  readonly environment: Readonly<Record<string, string>>;
  /** From now on the servers' wall clock is so many ms ahead of the machine's, back where negative, right with 0. */
  step(offsetMs: number): void;
  close(): Promise<void>;
};

/** Servers of a test file's own whose wall clocks it steps, one clock for all servers of a kind. */
export type StackWithClocks = OwnStack & {
  /** At once, by as much from the right time; 0 puts it right. Throws for a kind that has no clock of its own. */
  step(kind: PartKind, offsetMs: number): void;
  /**
   * All clocks right, and servers whose clock was stepped since the last call started anew: after a step back a broker may not
   * reach its controller (to create a topic, say) until the time of before, while it reads and writes as ever (Kafka 4.3).
   */
  restore(): Promise<void>;
};

/** Native servers, those of the kinds `stepped` with clocks that can be stepped. @throws where there is no `cc`, or no Linux. */
export async function openStackWithClocks(
  kinds: readonly PartKind[],
  stepped: readonly PartKind[],
): Promise<StackWithClocks> {
  const clocks = new Map<PartKind, ServerClock>();
  const closeClocks = async (): Promise<void> => {
    for (const clock of clocks.values()) await clock.close();
  };
  try {
    for (const kind of stepped) clocks.set(kind, await createServerClock());
    const partEnvironment = Object.fromEntries([...clocks].map(([kind, clock]) => [kind, clock.environment]));
    const own = await openOwnStack({ kinds, partEnvironment });
    const disturbed = new Set<PartKind>();
    return {
      ...own,
      step(kind, offsetMs) {
        const clock = clocks.get(kind);
        if (clock === undefined) throw new Error(`the servers of kind ${kind} have the clock of the machine`);
        clock.step(offsetMs);
        disturbed.add(kind);
      },
      async restore() {
        for (const clock of clocks.values()) clock.step(0);
        for (const part of own.stack.parts) if (disturbed.has(kindOf(part.name))) await part.restart();
        disturbed.clear();
      },
      async close() {
        await own.close();
        await closeClocks();
      },
    };
  } catch (error) {
    await closeClocks();
    throw error;
  }
}

/**
 * A library that is preloaded (`LD_PRELOAD`) and stands before the C library's `clock_gettime`, `gettimeofday` and `time`, by which
 * both the Java virtual machine and PostgreSQL tell the time of day. Stepping the machine's clock would need root and hit everybody.
 */
async function createServerClock(): Promise<ServerClock> {
  if (process.platform !== 'linux') throw new Error('clocks of servers can be stepped on Linux only (LD_PRELOAD)');
  const directory = await mkdtemp(join(tmpdir(), 'tracehound-clock-'));
  const library = join(directory, 'server-clock.so');
  const offset = join(directory, 'offset');
  try {
    // PostgreSQL reads both as a user of its own.
    await chmod(directory, 0o755);
    await writeFile(offset, Buffer.alloc(8), { mode: 0o644 });
    await run('cc', ['-shared', '-fPIC', '-O1', '-o', library, SOURCE, '-ldl']);
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw isMissing ? new Error('cc is missing: no clock of a server can be stepped', { cause: error }) : error;
  }
  const file = openSync(offset, 'r+');
  return {
    environment: { LD_PRELOAD: library, TRACEHOUND_TEST_CLOCK: offset },
    step(offsetMs) {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64LE(BigInt(offsetMs));
      writeSync(file, bytes, 0, bytes.length, 0);
    },
    async close() {
      closeSync(file);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
