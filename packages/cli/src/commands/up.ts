import { rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  openStack,
  registerService,
  type Stack,
  type StackMode,
  SUPERVISOR,
  unregisterService,
} from '@tracehound/stack';
import { type Deployment, startDeployment } from '../deployment/deployment.ts';
import { ensureSecrets } from '../deployment/secrets.ts';
import { startWebhookReceiver } from '../receiver/webhook-receiver.ts';
import { renderChecks, renderNextSteps, renderStory } from '../render/story.ts';
import { wrap } from '../render/wrap.ts';
import { finalAlerts } from '../scenario/alert-log.ts';
import { type Check, checkPlay } from '../scenario/checks.ts';
import { type PlayResult, play } from '../scenario/play.ts';
import { latenessMs, loadScenario } from '../scenario/scenario.ts';
import type { Terminal } from '../terminal.ts';

export type UpOptions = {
  readonly root: string;
  /** `.tracehound`: the servers of `up` live in `stack`, those of `--once` in `once`, which is wiped. */
  readonly home: string;
  readonly scenario: string;
  /** Base namespace, for several deployments on shared servers; '' by default. */
  readonly namespace: string;
  readonly once: boolean;
  readonly mode: StackMode | 'auto';
  readonly format: 'table' | 'json';
  /** How long a play may take before it counts as failed. */
  readonly timeoutMs: number;
  /** `service=fault point` of its first start; for trying out what a death does. */
  readonly faults?: Readonly<Record<string, string>>;
  readonly restartsMax?: number;
  /** Resolves when the command should end (Ctrl-C, SIGTERM). */
  readonly ended: Promise<void>;
};

/**
 * `tracehound up`: servers, services, a recorded attack through all of it, and what came of it. With `--once` it checks
 * everything, tears down and returns 0 only if every check held.
 */
export async function runUp(options: UpOptions, terminal: Terminal): Promise<number> {
  const scenario = loadScenario(options.root, options.scenario);
  const directory = join(options.home, options.once ? 'once' : 'stack');
  const began = Date.now();
  const progress = createProgress(terminal);
  const undo: (() => Promise<unknown>)[] = [];
  let isInterrupted = false;
  void options.ended.then(() => {
    isInterrupted = true;
  });
  try {
    // `tracehound down` has to end this process first: it starts services again that die.
    await registerService(directory, { name: SUPERVISOR, pid: process.pid, internal: null, public: null });
    undo.push(() => unregisterService(directory, SUPERVISOR));
    progress.step('servers');
    const stack = await openStack({ directory, mode: options.mode, onProgress: progress.detail });
    if (options.once) undo.push(() => endStack(stack, directory));
    else undo.push(() => stack.stop());
    const receiver = await startWebhookReceiver({
      secretFile: ensureSecrets(join(directory, 'secrets')).webhookSecretFile,
    });
    undo.push(() => receiver.close());
    progress.step('services');
    const deployment = await startDeployment({
      root: options.root,
      directory,
      addresses: stack.addresses,
      // A closed recording ends its topics for good, so each play has a namespace of its own (ADR 4).
      namespace: namespaceOf(options.namespace, scenario.closed ? `${scenario.name}-${began.toString(36)}` : ''),
      rules: scenario.rules,
      latenessMs: latenessMs(scenario, began),
      receiverUrl: receiver.url,
      ...(options.faults ? { faults: options.faults } : {}),
      ...(options.restartsMax === undefined ? {} : { restartsMax: options.restartsMax }),
      onEvent: (event) => {
        if (event.kind !== 'started') terminal.note(`  ${event.service} ${event.kind}: ${event.detail}`);
      },
      onProgress: progress.detail,
    });
    undo.push(() => deployment.stop());
    terminal.note(
      `Tracehound is up (${stack.mode} servers, ${deployment.services.size} services) after ${since(began)}`,
    );
    terminal.note(
      `\nPlaying "${scenario.title}": ${scenario.events.length} events, ${scenario.rules.length} rule files`,
    );
    const rulesLeftOut = scenario.rulesLeftOut.length;
    if (rulesLeftOut > 0)
      terminal.note(`  without ${rulesLeftOut} chained correlations: they need 'tracehound detect' for now`);
    if (scenario.story !== '')
      for (const line of wrap(scenario.story.replaceAll(/\s+/g, ' '), terminal.width - 2)) terminal.note(`  ${line}`);
    terminal.note('');
    const result = await play(deployment, scenario, {
      receiver,
      timeoutMs: options.timeoutMs,
      onProgress: progress.detail,
    });
    progress.end();
    const checks = checkPlay(result);
    report(result, checks, deployment, options, terminal);
    const held = checks.every((check) => check.ok);
    if (options.once) return held ? 0 : 1;
    terminal.note(`\n${renderNextSteps(deployment, terminal.noteColours)}`);
    terminal.note('\nRunning. Ctrl-C (or ./tracehound down in another terminal) ends it.');
    await Promise.race([options.ended, hopeless(deployment)]);
    const reason = deployment.hopeless();
    if (reason !== null && !isInterrupted) {
      terminal.note(`tracehound: ${reason}`);
      return 1;
    }
    return 0;
  } catch (error) {
    progress.end();
    if (isInterrupted) return 130;
    terminal.note(`tracehound: ${error instanceof Error ? error.message : String(error)}`);
    if (options.format === 'json')
      terminal.out(
        JSON.stringify({
          scenario: scenario.name,
          ok: false,
          error: error instanceof Error ? error.message : String(error),
        }),
      );
    return 1;
  } finally {
    progress.end();
    if (undo.length > 0) terminal.note('stopping …');
    for (const step of undo.reverse())
      await step().catch((error: unknown) => terminal.note(`while stopping: ${String(error)}`));
  }
}

/** Throws nothing: the wipe of a one-time stack is best effort, its folder is git-ignored either way. */
async function endStack(stack: Stack, directory: string): Promise<void> {
  await stack.stop({ wipe: true });
  rmSync(join(directory, 'services'), { recursive: true, force: true });
}

/** Resolves when a service is dead for good. */
function hopeless(deployment: Deployment): Promise<void> {
  return new Promise((done) => {
    const poll = setInterval(() => {
      if (deployment.hopeless() === null) return;
      clearInterval(poll);
      done();
    }, 500);
    poll.unref();
  });
}

function report(
  result: PlayResult,
  checks: readonly Check[],
  deployment: Deployment,
  options: UpOptions,
  terminal: Terminal,
): void {
  if (options.format === 'json') {
    terminal.out(JSON.stringify(summary(result, checks, deployment), null, 2));
    if (checks.some((check) => !check.ok))
      terminal.note(
        renderChecks(
          checks.filter((check) => !check.ok),
          terminal.noteColours,
        ),
      );
    return;
  }
  terminal.out(renderStory(result, { colours: terminal.outColours, width: terminal.width, alertsMax: 3 }));
  terminal.out('');
  terminal.out(renderChecks(checks, terminal.outColours));
  terminal.out(`\nplayed in ${(result.tookMs / 1000).toFixed(1)} s`);
}

/** The machine form: counts first, then every final (or still open) alert in the projection of E2. */
function summary(result: PlayResult, checks: readonly Check[], deployment: Deployment): object {
  const kinds = Object.groupBy(result.log, (alert) => alert.kind);
  return {
    scenario: result.scenario.name,
    ok: checks.every((check) => check.ok),
    events: {
      sent: result.events.length,
      accepted: result.sent.acknowledged.length,
      refused: result.sent.refused.length,
      distinct: result.distinctEvents,
    },
    alerts: {
      count: result.alerts.length,
      by_kind: Object.fromEntries(
        Object.entries(kinds).map(([kind, records]) => [kind.toLowerCase(), records?.length ?? 0]),
      ),
      final: finalAlerts(result.log),
      current: result.alerts.map((alert) => ({
        alert_id: alert.alert_id,
        rule: alert.rule.title,
        kind: alert.kind,
        group: alert.group,
        count: alert.count,
        event_ids: alert.event_ids,
      })),
    },
    audit_rows: result.audit,
    deliveries: {
      sent: result.deliveries.filter((delivery) => delivery.state === 'sent').length,
      webhooks: result.webhookDeliveries,
      received: result.notices.length,
    },
    ruleset_id: deployment.rulesetId,
    took_ms: result.tookMs,
    checks,
  };
}

const namespaceOf = (...parts: readonly string[]): string => parts.filter((part) => part !== '').join('-');

const since = (began: number): string => `${((Date.now() - began) / 1000).toFixed(1)} s`;

type Progress = { step(name: string): void; detail(line: string): void; end(): void };

/** Steps are lines; details overwrite one line on a terminal and are thinned to one a second elsewhere. */
function createProgress(terminal: Terminal): Progress {
  let step = '';
  let shownAt = 0;
  let isOpen = false;
  const isLive = process.stderr.isTTY === true;
  const close = (): void => {
    if (isOpen) process.stderr.write('\r\u001b[K');
    isOpen = false;
  };
  return {
    step(name) {
      close();
      step = name;
      terminal.note(`• ${name} …`);
    },
    detail(line) {
      if (isLive) {
        process.stderr.write(`\r\u001b[K  ${line.slice(0, terminal.width - 3)}`);
        isOpen = true;
      } else if (Date.now() - shownAt > 1_000) {
        shownAt = Date.now();
        terminal.note(`  ${step}: ${line}`);
      }
    },
    end: close,
  };
}
