#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { OFFLINE_VERBS, registerExplain, registerOffline } from './offline.ts';
import { createTerminal } from './terminal.ts';
import { UsageError } from './usage-error.ts';

// `tracehound … | head` closes the pipe early: that is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

const terminal = createTerminal();
const program = new Command('tracehound')
  .description('Stream-processing security correlation on Kafka, with Sigma rules and an audit trail.')
  .version('0.1.0')
  .showHelpAfterError('(add --help for the options and examples)')
  .exitOverride();

/** Runs a command; its number is the exit code. */
const exits =
  <A extends unknown[]>(run: (...args: A) => Promise<number>) =>
  async (...args: A): Promise<void> => {
    process.exitCode = await run(...args);
  };

/** Resolves on the first SIGINT or SIGTERM; the second one ends the process at once. */
function interrupted(): Promise<void> {
  return new Promise((done) => {
    let count = 0;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        count++;
        if (count > 1) process.exit(130);
        done();
      });
    }
  });
}

registerOffline(program, { terminal, interrupted });
if (!OFFLINE_VERBS.includes(process.argv[2] ?? '')) {
  const { registerVerbs } = await import('./verbs.ts');
  const { explainAlert } = registerVerbs(program, { terminal, exits, interrupted });
  registerExplain(program, terminal, explainAlert);
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    terminal.note(`tracehound: ${error instanceof Error ? error.message : String(error)}`);
    for (const problem of await problemsOf(error)) terminal.note(`  ${problem}`);
    process.exitCode = isUsage(error) ? 2 : 1;
  }
}

/** A missing stack is told by name: its class would have to be loaded for that alone. */
function isUsage(error: unknown): boolean {
  return error instanceof UsageError || (error instanceof Error && error.name === 'StackError');
}

/** What is wrong with each rule of a set that was refused, as `file:line:column code message`. */
async function problemsOf(error: unknown): Promise<string[]> {
  // Loaded only here: most commands that fail have nothing to do with rules.
  const { formatProblem, SigmaError } = await import('@tracehound/sigma');
  return error instanceof SigmaError ? error.problems.map(formatProblem) : [];
}
