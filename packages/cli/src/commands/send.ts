import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { rebase } from '../scenario/rebase.ts';
import { readEvents } from '../scenario/scenario.ts';
import { sendEvents } from '../scenario/send.ts';
import type { Terminal } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';

export type SendOptions = {
  readonly file: string;
  readonly url: string;
  readonly keyFile: string;
  readonly rebase: string;
  readonly format: 'table' | 'json';
};

/** `tracehound send`: 0 = all acknowledged, 1 = some refused. Sending a file again is harmless: event ids stay (X6). */
export async function runSend(options: SendOptions, terminal: Terminal): Promise<number> {
  for (const file of [options.file, options.keyFile])
    if (!existsSync(file)) throw new UsageError(`${file} does not exist`);
  if (options.rebase !== 'none' && options.rebase !== 'now')
    throw new UsageError(`--rebase ${options.rebase}: write now or none`);
  const read = readEvents(options.file);
  const events =
    options.rebase === 'now' ? rebase(read, { lastAtMs: Date.now(), compress: 1, runId: randomUUID() }) : read;
  const report = await sendEvents(
    events,
    { url: options.url.replace(/\/$/, ''), apiKey: readFileSync(options.keyFile, 'utf8').trim() },
    (done, all) => terminal.note(`sent ${done} of ${all}`),
  );
  if (options.format === 'json') {
    terminal.out(JSON.stringify({ accepted: report.acknowledged.length, refused: report.refused }));
  } else {
    terminal.out(`${report.acknowledged.length} accepted, ${report.refused.length} refused`);
    for (const entry of report.refused) terminal.out(`  line ${entry.index + 1}: ${entry.code} ${entry.detail}`);
  }
  return report.refused.length === 0 ? 0 : 1;
}
