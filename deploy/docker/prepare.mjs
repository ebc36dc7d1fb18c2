/**
 * What has to be there before the services start: secrets, topics, schemas, database, rules. Runs once per `up` in a
 * container of its own and is idempotent. The same functions as `tracehound up`, so both lead to the same deployment.
 */

import { globSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAvroCodec, createRegistry, registerRecords } from '@tracehound/avro';
import { applyTopics, ensureSecrets, publishRuleSet } from '@tracehound/cli';
import { createKafkaJsClient } from '@tracehound/kafka';
import { ensureDatabase, migrate } from '@tracehound/postgres';
import { addressesFromEnvironment, missingAddressKeys, settleRegistry } from '@tracehound/stack';

const root = join(import.meta.dirname, '..', '..');
const directory = process.env.TRACEHOUND_PREPARE_DIRECTORY ?? '/var/lib/tracehound';

const addresses = addressesFromEnvironment(process.env);
if (addresses === null) throw new Error(`not set: ${missingAddressKeys(process.env).join(', ')}`);

await mkdir(directory, { recursive: true });
ensureSecrets(join(directory, 'secrets'));
// Nobody outside listens yet: alerts go to the alerter's own console. Routes to webhooks are added in this file.
const receivers = { receivers: { console: { console: true } }, routes: { default: [{ receivers: ['console'] }] } };
await writeFile(join(directory, 'receivers.json'), `${JSON.stringify(receivers, null, 2)}\n`, { flag: 'wx' }).catch(
  (error) => {
    if (error.code !== 'EEXIST') throw error;
  },
);

const registry = createRegistry({ url: addresses.registryUrl });
const kafka = createKafkaJsClient({ brokers: addresses.kafkaBrokers, clientId: 'tracehound-prepare' });
try {
  await settleRegistry(addresses.registryUrl);
  await Promise.all([
    applyTopics({ kafka, namespace: '', profile: 'local' }),
    registerRecords(registry),
    ensureDatabase(addresses.postgresUrl).then(() =>
      migrate(addresses.postgresUrl, join(root, 'deploy', 'migrations')),
    ),
  ]);
  const published = await publishRuleSet({
    kafka,
    codec: createAvroCodec({ registry }),
    files: await ruleFiles(),
    principal: 'docker compose',
  });
  console.log(JSON.stringify({ msg: 'prepared', ruleset: published.rulesetId }));
} finally {
  await kafka.close();
}

/** Every rule of `rules/`, without the fixtures beside them. */
async function ruleFiles() {
  const paths = globSync('**/*.{yml,yaml}', { cwd: join(root, 'rules') }).filter(
    (path) => !/\.test\.ya?ml$/.test(path),
  );
  return Promise.all(
    paths.sort().map(async (path) => ({ path, content: await readFile(join(root, 'rules', path), 'utf8') })),
  );
}
