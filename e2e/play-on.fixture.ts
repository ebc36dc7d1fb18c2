import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type DeploymentOptions,
  ensureSecrets,
  latenessMs,
  loadScenario,
  type PlayResult,
  play,
  type Scenario,
  type ServiceEvent,
  startDeployment,
  startWebhookReceiver,
} from '@tracehound/cli';
import { repositoryRoot, type StackAddresses } from '@tracehound/stack';

export const ROOT = repositoryRoot();

export type Played = { readonly result: PlayResult; readonly events: readonly ServiceEvent[] };

export type PlayOnOptions = {
  readonly addresses: StackAddresses;
  readonly namespace: string;
  readonly scenario: Scenario;
  readonly faults?: DeploymentOptions['faults'];
  readonly env?: DeploymentOptions['env'];
  readonly timeoutMs?: number;
  /** Runs beside the play, for example to stop a server; awaited before the result is returned. */
  readonly meanwhile?: (deployment: Awaited<ReturnType<typeof startDeployment>>) => Promise<void>;
  /** Looks at the deployment after the play, before it stops. */
  readonly inspect?: (deployment: Awaited<ReturnType<typeof startDeployment>>, result: PlayResult) => Promise<void>;
};

/** A whole deployment in a namespace of its own on given servers, one play, and a clean end. */
export async function playOn(options: PlayOnOptions): Promise<Played> {
  const directory = mkdtempSync(join(tmpdir(), 'tracehound-e2e-'));
  const events: ServiceEvent[] = [];
  const receiver = await startWebhookReceiver({
    secretFile: ensureSecrets(join(directory, 'secrets')).webhookSecretFile,
  });
  try {
    const deployment = await startDeployment({
      root: ROOT,
      directory,
      addresses: options.addresses,
      namespace: options.namespace,
      rules: options.scenario.rules,
      latenessMs: latenessMs(options.scenario, Date.now()),
      receiverUrl: receiver.url,
      ...(options.faults ? { faults: options.faults } : {}),
      ...(options.env ? { env: options.env } : {}),
      onEvent: (event) => events.push(event),
    });
    try {
      const playing = play(deployment, options.scenario, { receiver, timeoutMs: options.timeoutMs ?? 120_000 });
      const beside = options.meanwhile?.(deployment) ?? Promise.resolve();
      // Both come to their end whatever happens to the other: a server that was stopped is up again for the next test.
      await Promise.allSettled([playing, beside]);
      const [result] = await Promise.all([playing, beside]);
      await options.inspect?.(deployment, result);
      return { result, events };
    } finally {
      await deployment.stop();
    }
  } finally {
    await receiver.close();
  }
}

export const scenarioOf = (name: string): Scenario => loadScenario(ROOT, name);
