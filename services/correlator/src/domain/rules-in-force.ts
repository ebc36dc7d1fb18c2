import { InvariantError, type RuleActivation } from '@tracehound/event-model';
import { NoActivationError, UnknownRulesError } from '../errors.ts';
import type { Clock } from '../ports.ts';
import type { RulesInForce } from '../stages/match.ts';
import type { BrokerTime } from './broker-time.ts';
import type { RuleBook } from './rule-book.ts';

/** Reads both rule topics from where the last read ended to their present end, into the book. */
export type RulesReader = { refresh(): Promise<void> };

/**
 * X7 for both stages: which rules hold at an append time, and never an answer that a still unread activation could
 * change. Reads are shared: concurrent callers wait for one read that began after their call.
 */
export class RulesInForceSource {
  private readonly book: RuleBook;
  private readonly reader: RulesReader;
  private readonly brokerTime: BrokerTime;
  private readonly clock: Pick<Clock, 'steadyMs'>;
  private running: Promise<void> | null = null;
  private queued: Promise<void> | null = null;

  constructor(deps: {
    readonly book: RuleBook;
    readonly reader: RulesReader;
    readonly brokerTime: BrokerTime;
    readonly clock: Pick<Clock, 'steadyMs'>;
  }) {
    this.book = deps.book;
    this.reader = deps.reader;
    this.brokerTime = deps.brokerTime;
    this.clock = deps.clock;
  }

  /** Resolves when `at` may be asked up to this append time; rejects (retriable) while there is no activation. */
  async ensure(appendTimesMs: readonly number[]): Promise<void> {
    const highestMs = appendTimesMs.reduce((highest, at) => Math.max(highest, at), Number.NEGATIVE_INFINITY);
    this.brokerTime.saw(highestMs);
    const { activations } = this.book;
    if (!activations.covers(highestMs) || !activations.isFresh(this.clock.steadyMs())) await this.refresh();
    if (this.book.activations.latest() === undefined) throw new NoActivationError();
    if (!this.book.activations.covers(highestMs)) {
      throw new InvariantError('a read of the activations did not cover the present', { highestMs });
    }
    const rulesetIds = new Set(appendTimesMs.map((at) => this.activationAt(at).ruleset_id));
    for (const rulesetId of rulesetIds) await this.ensureRuleSet(rulesetId);
  }

  /** The rules at an append time that `ensure` has covered. */
  at(appendTimeMs: number): RulesInForce {
    const activation = this.activationAt(appendTimeMs);
    return { activation, rules: this.book.compiled(activation.ruleset_id) };
  }

  private activationAt(appendTimeMs: number): RuleActivation {
    const known = this.book.activations.at(appendTimeMs);
    if (known === undefined) throw new NoActivationError();
    return known.activation;
  }

  /** Reads on when a record names rules that are not known yet. Rejects (retriable) when they are not there. */
  async ensureNamed(names: { readonly activationId: string; readonly rulesetId: string }): Promise<void> {
    const { activations } = this.book;
    if (activations.byId(names.activationId) === undefined) await this.refresh();
    if (activations.byId(names.activationId) === undefined) throw new UnknownRulesError(names);
    await this.ensureRuleSet(names.rulesetId);
  }

  /** One read that begins now or later. */
  refresh(): Promise<void> {
    if (this.running === null) return this.start();
    this.queued ??= this.running
      .catch(() => undefined)
      .then(() => {
        this.queued = null;
        return this.start();
      });
    return this.queued;
  }

  private start(): Promise<void> {
    const [knownAtMs, begunAtMs] = [this.brokerTime.latestMs, this.clock.steadyMs()];
    this.running = this.reader
      .refresh()
      .then(() => this.book.activations.covered(knownAtMs, begunAtMs))
      .finally(() => {
        this.running = null;
      });
    return this.running;
  }

  private async ensureRuleSet(rulesetId: string): Promise<void> {
    if (!this.book.has(rulesetId)) await this.refresh();
    this.book.compiled(rulesetId);
  }
}
