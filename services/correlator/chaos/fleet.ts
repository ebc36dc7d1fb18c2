import { setTimeout as delay } from 'node:timers/promises';
import type { CorrelatorProcess } from '../test/correlator-process.fixture.ts';

/** What the processes logged about themselves, over the whole soak. */
export type FleetCounts = {
  readonly started: number;
  readonly died: number;
  readonly taken: number;
  readonly fenced: number;
  readonly rebuilds: number;
  /** Errors that ended a process for good; 0 wanted. */
  readonly fatal: readonly string[];
};

export type FleetOptions = {
  readonly size: number;
  readonly spawn: (env: Record<string, string>) => CorrelatorProcess;
};

/** Correlator processes that are replaced when they die, as an orchestrator does. */
export class Fleet {
  private readonly options: FleetOptions;
  private readonly members: CorrelatorProcess[] = [];
  private readonly all: CorrelatorProcess[] = [];
  private isClosing = false;
  private died = 0;

  constructor(options: FleetOptions) {
    this.options = options;
  }

  start(): void {
    while (this.members.length < this.options.size) this.add({});
  }

  /** One that lives; undefined when all are just being replaced. */
  member(index: number): CorrelatorProcess | undefined {
    return this.members[index % Math.max(1, this.members.length)];
  }

  /** Joins the groups; replaced when it dies, until it is told to leave. */
  add(env: Record<string, string>): CorrelatorProcess {
    const member = this.options.spawn(env);
    this.members.push(member);
    this.all.push(member);
    void member.ended.then(async () => {
      if (!this.drop(member)) return;
      this.died++;
      await delay(REPLACED_AFTER_MS);
      if (!this.isClosing) this.add({});
    });
    return member;
  }

  /** SIGTERM, and no replacement. Resolves when it has drained. */
  async leave(member: CorrelatorProcess): Promise<void> {
    this.drop(member);
    await member.kill('SIGTERM');
  }

  /** SIGKILL to everything, frozen ones too. */
  async close(): Promise<void> {
    this.isClosing = true;
    await Promise.all(this.members.splice(0).map((member) => member.kill('SIGKILL')));
  }

  counts(): FleetCounts {
    const said = (text: string): number => this.all.reduce((sum, member) => sum + member.times(text), 0);
    return {
      started: this.all.length,
      died: this.died,
      taken: said('"partition taken"'),
      fenced: said('"ownership lost"'),
      rebuilds: said('"rebuild begins"'),
      fatal: this.all.filter((member) => member.times('the service cannot go on') > 0).map((member) => member.log()),
    };
  }

  private drop(member: CorrelatorProcess): boolean {
    const at = this.members.indexOf(member);
    if (at >= 0) this.members.splice(at, 1);
    return at >= 0;
  }
}

/** Time until a dead process is replaced. */
const REPLACED_AFTER_MS = 500;
