import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Routes of a local deployment: every alert to one signed webhook and to the alerter's console. Returns the file. */
export function receiversFile(directory: string, webhookUrl: string, secretFile: string): string {
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'receivers.json');
  writeFileSync(
    file,
    JSON.stringify(
      {
        receivers: {
          'analyst-webhook': { webhook: webhookUrl, secret_files: [secretFile], timeout_ms: 3_000 },
          console: { console: true },
        },
        routes: {
          default: [{ receivers: ['analyst-webhook', 'console'] }, { receivers: ['console'], audience: 'operator' }],
        },
      },
      null,
      2,
    ),
  );
  return file;
}
